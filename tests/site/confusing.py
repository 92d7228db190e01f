"""A base class with the same name as DRF's, and its own OPTIONS."""

from django.urls import path
from rest_framework import views
from rest_framework.response import Response

from pat_tokens.requirements import Requirement


class APIView(views.APIView):
    pat_requirements = {"GET": Requirement("channels", "read")}

    def get(self, request):
        return Response({})

    def options(self, request):
        return Response({"done": True})


urlpatterns = [path("confusing/", APIView.as_view())]
