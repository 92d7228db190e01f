from django.contrib import admin

from demo_project.devices.models import Channel, Client, Dashboard, DashboardShare, Group


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
