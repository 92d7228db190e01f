from rest_framework.response import Response
from rest_framework.views import APIView


class ReviewList(APIView):
    def get(self, request, book_pk):
        return Response([])

    def post(self, request, book_pk):
        return Response({}, status=201)


class ReviewDetail(APIView):
    def get(self, request, book_pk, pk):
        return Response({"id": pk})

    def put(self, request, book_pk, pk):
        return Response({"id": pk})
