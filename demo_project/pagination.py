from rest_framework.pagination import PageNumberPagination


class Pages(PageNumberPagination):
    """Pages of 25 rows, or of up to 100 with `?page_size=`."""

    page_size = 25
    page_size_query_param = "page_size"
    max_page_size = 100
