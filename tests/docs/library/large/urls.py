from django.contrib import admin
from django.urls import include, path
from library import invoices, loans, reports, reviews, views
from rest_framework.routers import SimpleRouter

router = SimpleRouter()
router.register("books", views.BookViewSet)
router.register("branches", views.BranchViewSet)

numbered = [path("<str:number>/", invoices.InvoiceDetail.as_view(), name="invoice")]
shelves = views.ShelfViewSet

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("django.contrib.auth.urls")),
    path("pats/", include("pat_tokens.urls")),
    path("api/pats/", include("pat_tokens.contrib.rest_framework.urls")),
    path("api/", include(router.urls)),
    path("api/catalog/", views.Catalog.as_view()),
    path("api/branches/<slug:slug>/opening-hours/", views.OpeningHours.as_view()),
    path("api/opening-hours/", views.OpeningHours.as_view()),
    path("api/branches/<int:branch_pk>/shelves/", shelves.as_view({"get": "list", "post": "create"})),
    path("api/branches/<int:branch_pk>/shelves/<int:pk>/", shelves.as_view({"get": "retrieve", "delete": "destroy"})),
    path("api/loans/", loans.LoanList.as_view()),
    path("api/loans/<int:pk>/", loans.LoanDetail.as_view()),
    path("api/books/<int:book_pk>/reviews/", reviews.ReviewList.as_view()),
    path("api/books/<int:book_pk>/reviews/<int:pk>/", reviews.ReviewDetail.as_view()),
    path("api/invoices/<int:pk>/pay/", invoices.pay),
    path("api/invoices/export/", invoices.Export.as_view()),
    path("api/invoices/by-number/", include((numbered, "invoices"))),
    path("api/reports/", reports.Report.as_view()),
    path("api/internal/status/", views.Status.as_view()),
    path("api/status/", views.Status.as_view()),
]
