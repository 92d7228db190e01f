"""Views that don't know about tokens, and read the user in different places."""

from rest_framework import generics, permissions, serializers, viewsets
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.decorators import action
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.response import Response
from rest_framework.views import APIView

from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.rest_framework.mixins import PersonalAccessTokenMixin
from pat_tokens.requirements import ANY_TOKEN
from tests.custom_user_site.models import Folder, Paper
from tests.custom_user_site.schemes import JWT, BearerTokenAuthentication, GreedyJWTAuthentication, JWTAuthentication


class FolderSerializer(serializers.ModelSerializer):
    class Meta:
        model = Folder
        fields = ["id", "title"]


class PaperSerializer(serializers.ModelSerializer):
    class Meta:
        model = Paper
        fields = ["id", "number"]


class Nosy:
    def initial(self, request, *args, **kwargs):
        self.person = request.user
        if isinstance(request.auth, Token | JWT) and request.method == "DELETE":
            raise PermissionDenied("Not by a machine.")
        super().initial(request, *args, **kwargs)
        assert self.person is request.user

    def check_permissions(self, request):
        if not request.user.is_authenticated:
            raise NotAuthenticated
        if hasattr(request.auth, "team"):
            raise PermissionDenied
        super().check_permissions(request)


class FolderViewSet(Nosy, viewsets.ModelViewSet):
    queryset = Folder.objects.all()
    serializer_class = FolderSerializer

    def get_queryset(self):
        folders = super().get_queryset().filter(holder=self.request.user).order_by("title")
        return folders.none() if getattr(self.request.auth, "organizer", None) else folders

    def perform_create(self, serializer):
        serializer.save(holder=self.request.user)

    @action(detail=True, methods=["post"])
    def shred(self, request, pk=None, version=None):
        return Response({"shredded": str(self.get_object().pk)})


class PaperViewSet(Nosy, viewsets.ModelViewSet):
    queryset = Paper.objects.all()
    serializer_class = PaperSerializer

    def get_queryset(self):
        mine = super().get_queryset().filter(folder__holder=self.request.user)
        return mine.filter(folder=self.kwargs["folder_pk"]).order_by("number")

    def perform_create(self, serializer):
        serializer.save(folder=Folder.objects.get(holder=self.request.user, pk=self.kwargs["folder_pk"]))


class Undeclared(Nosy, generics.ListAPIView):
    queryset = Folder.objects.all()
    serializer_class = FolderSerializer


class WhoAmI(APIView):
    """Returns which scheme authenticated the request, and the user."""

    permission_classes = [permissions.IsAuthenticated]
    pat_requirements = {"GET": ANY_TOKEN}
    versioning_class = None

    def get(self, request):
        return Response({"email": request.user.email, "auth": type(request.auth).__name__})


class MixedIn(PersonalAccessTokenMixin, WhoAmI):
    """Sets its own authentication class, which would accept every Bearer token."""

    authentication_classes = [GreedyJWTAuthentication, BearerTokenAuthentication]


OURS, THEIRS, BEARER = PersonalAccessTokenAuthentication, TokenAuthentication, BearerTokenAuthentication
JWTS, GREEDY, SESSION = JWTAuthentication, GreedyJWTAuthentication, SessionAuthentication
# The order of the classes, by name.
ORDERS = {
    "ours-theirs": [OURS, THEIRS],
    "theirs-ours": [THEIRS, OURS],
    "ours-bearer": [OURS, BEARER],
    "bearer-ours": [BEARER, OURS],
    "ours-jwt-theirs": [OURS, JWTS, THEIRS],
    "jwt-theirs-ours": [JWTS, THEIRS, OURS],
    "jwt-ours-bearer": [JWTS, OURS, BEARER],
    "ours-greedy": [OURS, GREEDY],
    "greedy-ours": [GREEDY, OURS],
    "session-theirs-ours": [SESSION, THEIRS, OURS],
    "ours-theirs-session": [OURS, THEIRS, SESSION],
}
