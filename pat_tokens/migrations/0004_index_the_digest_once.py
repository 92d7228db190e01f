from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pat_tokens", "0003_name_the_pepper_of_a_digest")]

    operations = [
        # In this order, so that digests are always unique.
        migrations.AddConstraint(
            model_name="personalaccesstoken",
            constraint=models.UniqueConstraint(fields=("digest",), name="pat_tokens_digest_unique"),
        ),
        migrations.AlterField(
            model_name="personalaccesstoken",
            name="digest",
            field=models.CharField(editable=False, max_length=64),
        ),
    ]
