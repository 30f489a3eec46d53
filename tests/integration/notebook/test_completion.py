"""Completion as a front end asks for it: a kernel's complete_request, and terminal IPython."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
from jupyter_client.manager import start_new_kernel

SECONDS = 60


@pytest.fixture(params=[True, False], ids=["jedi", "no jedi"])
def kernel(request, state, monkeypatch, tmp_path):
    """A kernel with the extension and one captured pair."""
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    try:
        for source in (
            f"%config IPCompleter.use_jedi = {request.param}",
            "%load_ext sageturner_magic",
            "%%sageturner_load echo\ndef load():\n    return 'loaded'",
            "%%sageturner_predict echo\ndef predict(model, request):\n    return request",
            "classifier = {'weights': [1, 2]}",
        ):
            reply = client.execute_interactive(source, timeout=SECONDS, output_hook=lambda _: None)
            assert reply["content"]["status"] == "ok", reply["content"]
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def completed(client, text):
    """The texts that the cursor (`|`) may become: whole cells, as a front end would have them."""
    before, _, after = text.partition("|")
    reply = client.complete(before + after, len(before), reply=True, timeout=SECONDS)["content"]
    code = before + after
    start, end = reply["cursor_start"], reply["cursor_end"]
    return [code[:start] + match + code[end:] for match in reply["matches"]]


def test_a_kernel_completes_lines_and_yaml_with_what_fits_only(kernel):
    assert completed(kernel, "%sageturner dep|") == ["%sageturner deploy"]
    assert completed(kernel, "%sageturner deploy --endp|") == ["%sageturner deploy --endpoint-type"]
    assert completed(kernel, "%sageturner code |") == ["%sageturner code echo"]
    assert completed(kernel, "%%sageturner deploy -e l|") == ["%%sageturner deploy -e local"]
    cell = "%%sageturner deploy\n"
    assert completed(kernel, cell + "na|") == [cell + "name: "]
    memory = cell + "name: echo\ncompute:\n  serverless:\n    memory: "
    assert completed(kernel, memory + "|") == [
        f"{memory}{size}" for size in (1024, 2048, 3072, 4096, 5120, 6144)
    ]
    assert completed(kernel, cell + "artefact: {model.joblib: cl|}") == [
        cell + "artefact: {model.joblib: classifier}"
    ]
    # Names of Python have no place in YAML.
    assert completed(kernel, cell + "classif|") == [cell + "classif"]


def test_python_is_completed_as_ever(kernel):
    assert "classifier" in completed(kernel, "classif|")
    payload = "%sageturner invoke echo classif|"
    assert "%sageturner invoke echo classifier" in completed(kernel, payload)
    reply = kernel.execute_interactive(
        "%unload_ext sageturner_magic", timeout=SECONDS, output_hook=lambda _: None
    )
    assert reply["content"]["status"] == "ok"
    assert "%sageturner deploy" not in completed(kernel, "%sageturner dep|")


@pytest.mark.parametrize("jedi", [True, False])
def test_terminal_ipython_completes_the_same(jedi, state, tmp_path):
    program = textwrap.dedent(
        f"""
        import json
        from IPython.core.completer import provisionalcompleter
        from IPython.terminal.interactiveshell import TerminalInteractiveShell

        shell = TerminalInteractiveShell.instance()
        shell.Completer.use_jedi = {jedi}
        shell.run_line_magic("load_ext", "sageturner_magic")
        found = {{}}
        for text in ("%sageturner ro", "sageturner plan --reg", "%%sageturner deploy\\nserv"):
            with provisionalcompleter():
                completions = shell.Completer.completions(text, len(text))
                found[text] = [text[: each.start] + each.text for each in completions]
        print(json.dumps(found))
        """
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
        env={**os.environ, "IPYTHONDIR": str(tmp_path), "HOME": str(tmp_path)},
    )
    assert json.loads(ran.stdout.splitlines()[-1]) == {
        "%sageturner ro": ["%sageturner rollback"],
        "sageturner plan --reg": ["sageturner plan --region"],
        "%%sageturner deploy\nserv": ["%%sageturner deploy\nserving:"],
    }
