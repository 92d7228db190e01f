from rest_framework.decorators import api_view
from rest_framework.response import Response
from rest_framework.views import APIView


@api_view(["POST"])
def pay(request, pk):
    return Response({"paid": pk})


class InvoiceDetail(APIView):
    def get(self, request, number):
        return Response({"number": number})

    def delete(self, request, number):
        return Response(status=204)


class Export(APIView):
    def get(self, request):
        return Response([])
