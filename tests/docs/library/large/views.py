from library.models import Book, Branch, Shelf
from rest_framework import filters, generics, serializers, viewsets
from rest_framework.authentication import SessionAuthentication
from rest_framework.response import Response
from rest_framework.views import APIView


class BookSerializer(serializers.ModelSerializer):
    class Meta:
        model = Book
        fields = ["id", "number", "branch"]


class BookViewSet(viewsets.ModelViewSet):
    queryset = Book.objects.order_by("pk")
    serializer_class = BookSerializer


class Catalog(generics.ListAPIView):
    serializer_class = BookSerializer
    filter_backends = [filters.OrderingFilter]

    def get_queryset(self):
        return Book.objects.order_by("pk")


class ShelfSerializer(serializers.ModelSerializer):
    class Meta:
        model = Shelf
        fields = ["id", "number", "branch"]


class ShelfViewSet(viewsets.ModelViewSet):
    serializer_class = ShelfSerializer

    def get_queryset(self):
        return Shelf.objects.filter(branch=self.kwargs["branch_pk"])


class BranchViewSet(viewsets.ReadOnlyModelViewSet):
    queryset = Branch.objects.order_by("pk")
    lookup_field = "slug"


class OpeningHours(APIView):
    def get(self, request, slug=None):
        return Response({"slug": slug})


class Status(APIView):
    authentication_classes = [SessionAuthentication]

    def get(self, request):
        return Response({"ok": True})
