from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("pat_tokens", "0005_record_activity"),
    ]

    operations = [
        migrations.AddField(
            model_name="personalaccesstoken",
            name="grace_period",
            field=models.CharField(db_default="", default="", editable=False, max_length=40),
        ),
        migrations.AddField(
            model_name="personalaccesstoken",
            name="grace_started_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="personalaccesstoken",
            name="overlap_mailed_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="personalaccesstoken",
            name="previous_digest",
            field=models.CharField(editable=False, max_length=64, null=True),
        ),
        migrations.AddField(
            model_name="personalaccesstoken",
            name="previous_expires_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="personalaccesstoken",
            name="previous_hint",
            field=models.CharField(db_default="", default="", editable=False, max_length=32),
        ),
        migrations.AddField(
            model_name="personalaccesstoken",
            name="previous_is_legacy",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddField(
            model_name="personalaccesstoken",
            name="previous_issued_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="personalaccesstoken",
            name="previous_last_used_agent",
            field=models.CharField(db_default="", default="", editable=False, max_length=200),
        ),
        migrations.AddField(
            model_name="personalaccesstoken",
            name="previous_last_used_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="personalaccesstoken",
            name="previous_last_used_ip",
            field=models.GenericIPAddressField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="personalaccesstoken",
            name="previous_pepper_id",
            field=models.CharField(db_default="", default="", editable=False, max_length=8),
        ),
        migrations.AddField(
            model_name="personalaccesstoken",
            name="rotated_at",
            field=models.DateTimeField(db_index=True, editable=False, null=True, verbose_name="rotated at"),
        ),
        migrations.AddConstraint(
            model_name="personalaccesstoken",
            constraint=models.UniqueConstraint(fields=("previous_digest",), name="pat_tokens_previous_digest_unique"),
        ),
        migrations.AddConstraint(
            model_name="personalaccesstoken",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("previous_digest__isnull", True),
                    models.Q(("previous_digest", models.F("digest")), _negated=True),
                    _connector="OR",
                ),
                name="pat_tokens_secrets_differ",
            ),
        ),
        migrations.AddConstraint(
            model_name="personalaccesstoken",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("rotated_at__isnull", True),
                    models.Q(("previous_digest__isnull", False), ("previous_issued_at__isnull", False)),
                    _connector="OR",
                ),
                name="pat_tokens_overlap_has_secret",
            ),
        ),
    ]
