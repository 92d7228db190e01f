"""django-silk lists the SELECT of the token among the queries of a request."""
