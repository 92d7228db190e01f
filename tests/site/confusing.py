"""A base class that somebody called as DRF's own, with an OPTIONS of its own."""

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
