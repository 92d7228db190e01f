from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q

# Where each column of a token is in the new table.
MOVED = {
    "previous_pepper_id": "pepper_id",
    "previous_hint": "hint",
    "previous_issued_at": "issued_at",
    "previous_expires_at": "original_expires_at",
    "previous_is_legacy": "is_legacy",
    "previous_last_used_at": "last_used_at",
    "previous_last_used_ip": "last_used_ip",
    "previous_last_used_agent": "last_used_agent",
    "grace_period": "grace_period",
    "overlap_mailed_at": "mailed_at",
}


def move(apps: Any, schema_editor: Any) -> None:
    alias = schema_editor.connection.alias
    tokens = apps.get_model("pat_tokens", "PersonalAccessToken").objects.using(alias)
    secrets = apps.get_model("pat_tokens", "PreviousSecret").objects.using(alias)
    batch = []
    for pk, *values in tokens.exclude(previous_issued_at=None).values_list("pk", *MOVED).iterator():
        batch.append(secrets.model(token_id=pk, **dict(zip(MOVED.values(), values, strict=True))))
        if len(batch) == 1000:
            secrets.bulk_create(batch)
            batch = []
    secrets.bulk_create(batch)
    tokens.filter(last_used_at=F("previous_last_used_at")).update(last_used_by_previous=True)


def move_back(apps: Any, schema_editor: Any) -> None:
    alias = schema_editor.connection.alias
    tokens = apps.get_model("pat_tokens", "PersonalAccessToken").objects.using(alias)
    secrets = apps.get_model("pat_tokens", "PreviousSecret").objects.using(alias)
    batch = []
    for pk, *values in secrets.values_list("pk", *MOVED.values()).iterator():
        batch.append(tokens.model(pk=pk, **dict(zip(MOVED, values, strict=True))))
        if len(batch) == 100:
            tokens.bulk_update(batch, MOVED)
            batch = []
    tokens.bulk_update(batch, MOVED)
    # An overlap needs its columns. Without them, the previous secret has already stopped.
    tokens.filter(previous_issued_at=None).update(rotated_at=None)


class Migration(migrations.Migration):
    dependencies = [
        ("pat_tokens", "0008_record_scope_use"),
    ]

    operations = [
        migrations.CreateModel(
            name="PreviousSecret",
            fields=[
                (
                    "token",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="previous",
                        serialize=False,
                        to="pat_tokens.personalaccesstoken",
                    ),
                ),
                ("pepper_id", models.CharField(default="", editable=False, max_length=8)),
                ("hint", models.CharField(editable=False, max_length=32)),
                ("issued_at", models.DateTimeField(editable=False)),
                ("original_expires_at", models.DateTimeField(editable=False, null=True)),
                ("is_legacy", models.BooleanField(default=False, editable=False)),
                ("last_used_at", models.DateTimeField(db_index=True, editable=False, null=True)),
                ("last_used_ip", models.GenericIPAddressField(editable=False, null=True)),
                ("last_used_agent", models.CharField(default="", editable=False, max_length=200)),
                ("grace_period", models.CharField(default="", editable=False, max_length=40)),
                ("mailed_at", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "verbose_name": "previous secret",
                "verbose_name_plural": "previous secrets",
            },
        ),
        migrations.AddField(
            model_name="personalaccesstoken",
            name="last_used_by_previous",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.RemoveConstraint(model_name="personalaccesstoken", name="pat_tokens_overlap_has_secret"),
        migrations.RunPython(move, move_back),
        *(migrations.RemoveField(model_name="personalaccesstoken", name=name) for name in MOVED),
        migrations.AddConstraint(
            model_name="personalaccesstoken",
            constraint=models.CheckConstraint(
                condition=Q(rotated_at__isnull=True) | Q(previous_digest__isnull=False),
                name="pat_tokens_overlap_has_secret",
            ),
        ),
    ]
