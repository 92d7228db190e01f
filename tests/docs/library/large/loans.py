from rest_framework.response import Response
from rest_framework.views import APIView


class LoanList(APIView):
    def get(self, request):
        return Response([])

    def post(self, request):
        return Response({}, status=201)


class LoanDetail(APIView):
    def get(self, request, pk):
        return Response({"id": pk})

    def delete(self, request, pk):
        return Response(status=204)
