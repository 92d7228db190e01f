from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pat_tokens", "0002_allow_create_for_others")]

    operations = [
        # Which pepper made a digest can't be told without the secret: it is recorded when the secret is used next.
        migrations.AddField(
            model_name="personalaccesstoken",
            name="pepper_id",
            field=models.CharField(db_default="", default="", editable=False, max_length=8),
        ),
    ]
