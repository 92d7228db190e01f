from django.contrib import admin
from django.contrib.auth.models import User

from pat_tokens.admin import DepartureMixin, EntityTypeFilter, PersonalAccessTokenAdmin, StatusFilter


class Users(DepartureMixin, admin.ModelAdmin[User]):
    list_display = ("username",)


class Tokens(PersonalAccessTokenAdmin):
    list_display = (*PersonalAccessTokenAdmin.list_display, "last_used_ip")
    list_filter = [StatusFilter, EntityTypeFilter, "is_legacy"]
    search_fields = ("name", "user__username")
    ordering = ("name",)
    actions = (*PersonalAccessTokenAdmin.actions, "delete_selected")
    facts = (*PersonalAccessTokenAdmin.facts, "pepper_id")
