import pytest

pytestmark = pytest.mark.repository

# pytest-django and pytest-playwright are set up once per process, by the outer run.
PLUGINS = ["-p", "tests.skips", "-p", "no:django", "-p", "no:playwright"]

SUITE = """
    import pytest
    from tests.skips import not_applicable

    def test_runs(): pass

    def test_skips_itself(): pytest.skip("no reason that counts")

    def test_cannot_apply(): not_applicable("this database has no such lock")

    @pytest.mark.xfail
    def test_is_expected_to_fail(): raise AssertionError

    @pytest.mark.django_version("<5")
    def test_is_for_an_old_django(): raise AssertionError

    @pytest.mark.redis
    def test_needs_redis(): raise AssertionError

    @pytest.mark.docs
    def test_has_a_target_of_its_own(): pass

    @pytest.mark.django_db
    def test_uses_a_database(): pass
"""


@pytest.fixture
def run(pytester, monkeypatch, settings):
    """Run SUITE in strict mode or not, without Redis."""
    monkeypatch.setattr("tests.skips.redis_answers", lambda: False)

    def run(*args, ci):
        monkeypatch.setenv("PAT_TOKENS_CI", "1" if ci else "")
        pytester.makepyfile(SUITE)
        return pytester.runpytest(*PLUGINS, *args)

    return run


def test_missing_services_skip_with_reason(run):
    result = run("-rs", ci=False)
    result.assert_outcomes(passed=3, skipped=4, xfailed=1)
    result.stdout.fnmatch_lines(["*no Redis answers at REDIS_URL*"])


@pytest.mark.parametrize(
    ("expression", "selected"),
    [("docs", ["test_has_a_target_of_its_own"]), ("package and database", ["test_uses_a_database"])],
)
def test_markers_select_tests(run, expression, selected):
    result = run("--collect-only", "-q", "-m", expression, ci=False)
    assert [line.partition("::")[2] for line in result.outlines if "::" in line] == selected


def test_ci_fails_on_avoidable_skips(run):
    result = run(ci=True)
    result.assert_outcomes(passed=3, skipped=2, failed=1, errors=1, xfailed=1)
    result.stdout.fnmatch_lines(["*Skipped under PAT_TOKENS_CI=1: no reason that counts*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(("ci", "code"), [(False, "NO_TESTS_COLLECTED"), (True, "INTERRUPTED")])
def test_module_level_skip(pytester, monkeypatch, ci, code):
    monkeypatch.setenv("PAT_TOKENS_CI", "1" if ci else "")
    pytester.makepyfile("import pytest; pytest.importorskip('no_such_package')")
    assert pytester.runpytest(*PLUGINS).ret == pytest.ExitCode[code]


def test_browser_tests_are_marked_and_run_last(pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def page(): pass

        def test_page(page): pass

        def test_plain(): pass
        """
    )
    result = pytester.runpytest(*PLUGINS, "--collect-only", "-q")
    result.stdout.fnmatch_lines(["*::test_plain", "*::test_page"])
    result = pytester.runpytest(*PLUGINS, "--collect-only", "-q", "-m", "not browser")
    result.stdout.no_fnmatch_line("*::test_page")
