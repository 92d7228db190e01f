from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin

from demo_project.devices.models import Channel, Client, Dashboard, DashboardShare, Group
from pat_tokens.admin import DepartureMixin

admin.site.unregister(get_user_model())


@admin.register(get_user_model())
class DemoUserAdmin(DepartureMixin, UserAdmin):
    """Shows which tokens end with an account."""


@admin.register(Client, Channel, Group)
class OwnedAdmin(admin.ModelAdmin):
    list_display = ("name", "owner", "created_at")
    list_filter = ("owner",)
    search_fields = ("name", "owner__username")


class ShareInline(admin.TabularInline):
    model = DashboardShare
    extra = 0


@admin.register(Dashboard)
class DashboardAdmin(OwnedAdmin):
    inlines = (ShareInline,)
