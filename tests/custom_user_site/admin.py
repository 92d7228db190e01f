"""An admin for users without permissions: whoever has an address of the office can do everything in it."""

from django.contrib import admin

from pat_tokens.admin import DepartureMixin, PersonalAccessTokenAdmin
from pat_tokens.models import PersonalAccessToken
from tests.custom_user_site.models import Person


class PeopleSite(admin.AdminSite):
    def has_permission(self, request):
        return isinstance(request.user, Person) and request.user.is_in_office


class PersonAdmin(DepartureMixin, admin.ModelAdmin):
    list_display = ("email", "blocked")


people_site = PeopleSite(name="people")
people_site.register(Person, PersonAdmin)
people_site.register(PersonalAccessToken, PersonalAccessTokenAdmin)
