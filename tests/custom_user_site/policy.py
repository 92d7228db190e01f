"""A Content-Security-Policy that allows only the site's own files."""


def strict_policy(get_response):
    def answer(request):
        response = get_response(request)
        response["Content-Security-Policy"] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'"
        return response

    return answer
