"""The forms as a person uses them: with the keyboard, in both themes, on a narrow page."""

import json
import re

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.kernels import NEWEST
from tests.browser.lab import open_notebook, run_all, write

pytestmark = pytest.mark.browser

EXTENSION = "%load_ext sageturner_magic"
MODEL = """\
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
data = load_digits()
classifier = LogisticRegression(max_iter=200).fit(data.data[:300], data.target[:300])"""
LOAD = """\
%%sageturner_load digits
import joblib

def load(model_dir):
    return joblib.load(f"{model_dir}/digits.joblib")"""
PREDICT = """\
%%sageturner_predict digits
def predict(model, request):
    return {"digit": model.predict([request["pixels"]])[0]}

def example_request():
    return {"pixels": [0.0] * 64}"""
FORM = ".sageturner-form"
IS_WRITTEN = "field => field.matches('textarea, input:not([type=checkbox])')"


class Keyboard:
    """Counts what a person does."""

    def __init__(self, page):
        self._page = page
        self.actions = 0

    def press(self, key):
        self._page.keyboard.press(key)
        self.actions += 1

    def type(self, text):
        self._page.keyboard.type(text)
        self.actions += 1

    def tab_to(self, name, key="Tab"):
        """Press Tab until what is called so has the focus."""
        for _ in range(12):
            if focused(self._page) == name:
                return
            self.press(key)
        raise AssertionError(f"Tab does not lead to {name}; last was {focused(self._page)}")


def focused(page):
    return page.evaluate("document.activeElement?.textContent?.trim() ?? ''")


@pytest.fixture(autouse=True)
def patience(lab, page):
    """A machine that runs other things as well takes its time to load a model."""
    page.set_default_timeout(120_000)


def serious_violations(page, selector=FORM):
    found = Axe().run(page, context=selector).response["violations"]
    return [
        (each["id"], each["impact"], [node["html"] for node in each["nodes"]][:3])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def choose(select, begin):
    """Choose the option that begins so."""
    option = select.locator("option", has_text=re.compile(f"^{re.escape(begin)}")).first
    option.wait_for(state="attached")
    select.select_option(label=option.text_content())


def unfold(form, *titles):
    """Open the parts of the form that are called so."""
    for title in titles:
        button = form.get_by_role("button", name=title)
        button.click()
        expect(button).to_have_class(re.compile(r"\bmod-active\b"))


def theme(page, name):
    page.evaluate(
        "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name
    )
    is_light = json.dumps("Light" in name)
    page.wait_for_selector(f'body[data-jp-theme-light="{is_light}"]', state="attached")


def test_filled_in_with_the_keyboard_alone_a_model_is_saved_and_deployed(lab, page):
    write(lab.root / "form.ipynb", EXTENSION, MODEL, LOAD, PREDICT)
    open_notebook(page, lab, "form.ipynb", kernel=True)
    run_all(page)
    for command in ("notebook:move-cursor-down", "notebook:insert-cell-below"):
        page.evaluate("command => window.jupyterapp.commands.execute(command)", command)
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").last.click()

    keys = Keyboard(page)
    keys.type("%sageturner form")
    keys.press("Control+Enter")
    page.wait_for_selector(f"{FORM} >> text=Ready to deploy digits.")
    keys.tab_to("Save YAML")
    keys.press("Enter")
    page.wait_for_selector("text=saved sageturner.yaml")
    keys.tab_to("Deploy", "Shift+Tab")
    keys.press("Enter")
    page.wait_for_selector(".sageturner-progress")
    assert serious_violations(page) == []
    page.wait_for_selector("text=digits answers at http://127.0.0.1:")
    assert keys.actions <= 12
    expect(page.locator("#sageturner-said")).to_have_text(re.compile("^digits answers at"))

    saved = (lab.root / "sageturner.yaml").read_text()
    assert saved == "name: digits\nartefact:\n  digits.joblib: classifier\n"
    # The result is plain HTML: nothing of it needs a kernel when the notebook is opened again.
    expect(page.locator(FORM)).to_have_count(0)
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    output = nbformat.read(lab.root / "form.ipynb", as_version=4).cells[-1].outputs[0]
    assert set(output.data) == {"text/html", "text/plain"}
    assert "digits answers at" in output.data["text/plain"]
    assert """--data-binary '{"pixels": [0.0, 0.0,""" in output.data["text/plain"]
    assert "Send the example from elsewhere" in output.data["text/html"]
    assert "%%sageturner deploy -e local\nname: digits" in output.data["text/plain"]


def test_a_model_of_the_notebook_is_deployed_with_nothing_but_the_form(lab, page):
    trained = f"{MODEL}\nother = LogisticRegression().fit(data.data[:9], data.target[:9])"
    write(lab.root / "model.ipynb", EXTENSION, trained, "%sageturner form")
    open_notebook(page, lab, "model.ipynb", kernel=True)
    run_all(page)
    page.wait_for_selector(f"{FORM} >> text=Ready to deploy my-model.")
    form, keys = page.locator(FORM), Keyboard(page)
    variable = form.get_by_label("Variable", exact=True)
    expect(variable.locator("option:checked")).to_have_text("other (LogisticRegression)")
    form.get_by_label("Model", exact=True).focus()
    keys.press("Tab")
    expect(variable).to_be_focused()
    keys.type("class")
    expect(variable.locator("option:checked")).to_have_text("classifier (LogisticRegression)")
    page.wait_for_selector(f"{FORM} >> text=Ready to deploy my-model.")
    form.get_by_role("button", name="Deploy").focus()
    keys.press("Enter")
    page.wait_for_selector("text=my-model answers at http://127.0.0.1:")
    folded = page.locator("details", has_text="The form as a cell")
    expect(folded).to_contain_text("%%sageturner deploy -e local --model classifier")


@pytest.mark.parametrize(
    "lab", [("lab", NEWEST), ("notebook", NEWEST)], indirect=True, ids=["lab", "notebook"]
)
def test_letters_typed_in_the_form_are_no_commands_of_the_notebook(lab, page):
    write(lab.root / "form.ipynb", EXTENSION, MODEL, LOAD, PREDICT, "%sageturner form")
    open_notebook(page, lab, "form.ipynb", kernel=True)
    run_all(page)
    form = page.locator(FORM)
    page.wait_for_selector(f"{FORM} >> text=Ready to deploy digits.")
    cells = "window.jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.type)"
    before = page.evaluate(cells)
    choose(form.get_by_label("Endpoint type"), "server:")
    instance = form.get_by_label("Instance type")
    # Until then everything below moves, also from under a click.
    page.wait_for_selector(f"{FORM} >> text=instance types do not fit")
    unfold(form, "Serving", "Image", "Environment and tags", "Preview")
    form.get_by_role("button", name="Add tag").click()
    kinds = {
        "list": instance,
        "search": form.get_by_label("Search", exact=True),
        "dropdown": form.get_by_label("Model", exact=True),
        "choice": form.get_by_label("Variable", exact=True),
        "text": form.get_by_label("Name", exact=True).first,
        "lines": form.get_by_label("System packages"),
        "number": form.get_by_label("Timeout (s)"),
        "checkbox": form.get_by_label("Install CUDA"),
        "pairs": form.get_by_label("Value", exact=True),
        "button": form.get_by_role("button", name="Add variable"),
        "choices": form.get_by_role("button", name="plan", exact=True),
        "fold": form.get_by_role("button", name="Serving"),
    }
    for kind, control in kinds.items():
        control.focus()
        held = control.input_value() if control.evaluate(IS_WRITTEN) else None
        for key in ("m", "r", "y", "a", "b", "x", "d", "d", "j", "k", "0", "0"):
            page.keyboard.press(key)
        assert page.evaluate(cells) == before, kind
        assert form.count() == 1, kind
        if held is not None:
            control.fill(held)
            control.blur()
    choose(form.get_by_label("Model", exact=True), "live")

    # Types are searched as one types, by what they have as well as by name.
    search = form.get_by_label("Search", exact=True)
    search.focus()
    page.keyboard.type("a10g 12x")
    page.wait_for_selector(f"{FORM} pre >> text=instance_type: ml.g5.12xlarge")
    search.fill("m5")
    expect(instance.locator("option", has_text="ml.m5.large")).to_be_attached()
    expect(instance.locator("option", has_text="ml.c5.large")).to_have_count(0)
    search.fill("")
    expect(instance.locator("option", has_text="ml.c5.xlarge")).to_be_attached()

    # A list goes where one types, and with the arrows.
    instance.focus()
    page.keyboard.type("ml.c5.x")
    assert instance.evaluate("list => list.selectedOptions[0].text").startswith("ml.c5.xlarge")
    page.wait_for_selector(f"{FORM} pre >> text=instance_type: ml.c5.xlarge")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector(f"{FORM} pre >> text=instance_type: ml.c5.xlarge", state="hidden")
    page.keyboard.press("Escape")
    assert page.evaluate(cells) == before

    # What the notebook does with Ctrl it does here too.
    form.get_by_label("Name", exact=True).first.fill("other")
    page.evaluate("() => { window.jupyterapp.shell.currentWidget.context.model.dirty = true; }")
    instance.focus()
    page.keyboard.press("Control+s")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")


def test_the_form_says_at_once_what_is_wrong_and_looks_right_everywhere(lab, page):
    write(lab.root / "form.ipynb", EXTENSION, MODEL, LOAD, PREDICT, "%sageturner form")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_notebook(page, lab, "form.ipynb", kernel=True)
    run_all(page)
    form = page.locator(FORM)
    name = form.get_by_label("Name", exact=True).first
    said = page.locator("[role=status][aria-live=polite]#sageturner-said")
    expect(said).to_have_text("Ready to deploy digits.")
    first = said.element_handle()

    # Beside the field, and said to those who do not see it.
    name.fill("Digits! " + "long" * 20)
    page.wait_for_selector(f"{FORM} [role=alert] >> text=expected 1 to 40 lower-case letters")
    expect(form).to_contain_text("1 problem")
    expect(said).to_have_text("1 problem: see name")
    assert serious_violations(page) == []
    name.fill("digits")
    page.wait_for_selector(f"{FORM} >> text=Ready to deploy digits.")
    expect(said).to_have_text("Ready to deploy digits.")
    # A screen reader hears what changes within a region that stays.
    assert said.evaluate("(now, before) => now === before", first)

    # All but what a first deployment decides is folded, with what is set in it.
    expect(form.get_by_label("Python packages")).not_to_be_visible()
    assert form.bounding_box()["height"] < 760
    page.wait_for_selector(f"{FORM} >> text=auto: joblib, numpy, scikit-learn")
    lists = form.locator("select:visible")
    assert all(
        "gradient" in each.evaluate("list => getComputedStyle(list).backgroundImage")
        for each in lists.all()
    )

    # The packages that auto takes are listed, and are edited where that is wanted.
    unfold(form, "Packages", "Preview")
    page.wait_for_selector(f"{FORM} >> text=scikit-learn==")
    form.get_by_role("button", name="Edit this list").click()
    expect(form.get_by_label("Python packages")).to_have_value(re.compile("^joblib=="))
    page.wait_for_selector(f"{FORM} pre >> text=- joblib==")
    form.get_by_role("button", name="Take them automatically").click()
    page.wait_for_selector(f"{FORM} pre >> text=- joblib==", state="hidden")

    # Compute: only what is possible can be chosen, and instance types say why they do not fit.
    endpoint_type = form.get_by_label("Endpoint type")
    choose(endpoint_type, "serverless")
    memory = form.get_by_label("Memory")
    choose(memory, "4096")
    page.wait_for_selector(f"{FORM} pre >> text=memory: 4096")
    # ipywidgets writes spaces that do not break.
    assert " ".join(memory.locator("option").all_text_contents()).split() == [
        "1024", "2048", "(default)", "3072", "4096", "5120", "6144",
    ]  # fmt: skip
    choose(endpoint_type, "server:")
    page.wait_for_selector(f"{FORM} >> text=instance types do not fit")
    choose(form.get_by_label("Instance type"), "ml.g5.xlarge")
    page.wait_for_selector(f"{FORM} pre >> text=instance_type: ml.g5.xlarge")
    expect(form).to_contain_text("A10G, 24 GB")
    choose(endpoint_type, "local")
    page.wait_for_selector(f"{FORM} >> text=instance types do not fit", state="hidden")

    # The same text is copied as a cell.
    form.get_by_role("button", name="Copy as cell").click()
    page.wait_for_selector(f"{FORM} >> text=copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("%%sageturner deploy -e local\nname: digits\n")

    # Folded parts open, and the module is one click away.
    form.get_by_role("button", name="Serving").click()
    form.get_by_label("Timeout (s)").wait_for()
    form.get_by_role("button", name="sageturner.py").click()
    page.wait_for_selector(f"{FORM} pre >> text=def load(model_dir)")
    form.get_by_role("button", name="plan", exact=True).click()
    page.wait_for_selector(f"{FORM} >> text=Write code and model")

    for look in ("JupyterLab Dark", "JupyterLab Light"):
        theme(page, look)
        assert serious_violations(page) == []
    page.set_viewport_size({"width": 800, "height": 900})
    page.wait_for_function(
        "form => { const e = document.querySelector(form); return e.clientWidth < 700; }",
        arg=FORM,
    )
    assert page.evaluate(
        """form => {
            const shown = document.querySelector(form);
            return shown.scrollWidth <= shown.clientWidth;
        }""",
        FORM,
    )


@pytest.mark.parametrize(
    "lab", [("lab", NEWEST), ("notebook", NEWEST)], indirect=True, ids=["lab", "notebook"]
)
def test_a_deployment_that_fails_leaves_the_form_to_be_mended(lab, page):
    write(
        lab.root / "form.ipynb",
        EXTENSION,
        "%%sageturner_load broken\ndef load():\n    raise ValueError('no such model')",
        "%%sageturner_predict broken\ndef predict(model, request):\n    return request",
        "%sageturner form",
    )
    open_notebook(page, lab, "form.ipynb", kernel=True)
    run_all(page)
    form = page.locator(FORM)
    form.get_by_role("button", name="Deploy").click()
    page.wait_for_selector(f"{FORM} >> text=no such model")
    assert serious_violations(page) == []
    assert form.get_by_role("button", name="Deploy").is_enabled()
    form.get_by_role("button", name="Close").click()
    page.wait_for_selector("text=The form as a cell")


def test_requests_are_edited_sent_and_kept(lab, page):
    write(
        lab.root / "invoke.ipynb",
        EXTENSION,
        MODEL,
        LOAD,
        PREDICT,
        "%%sageturner deploy\nname: digits\nartefact: {digits.joblib: classifier}",
        "%sageturner form --invoke digits",
    )
    open_notebook(page, lab, "invoke.ipynb", kernel=True)
    run_all(page)
    form = page.locator(FORM)
    request = form.get_by_label("Request")
    expect(request).to_have_value(re.compile("pixels"))
    assert json.loads(request.input_value()) == {"pixels": [0.0] * 64}
    form.get_by_role("button", name="Send").click()
    page.wait_for_selector(f"{FORM} >> text=HTTP 200 >> visible=true")
    request.fill('{"pixels": [1]}')
    form.get_by_role("button", name="Send").click()
    page.wait_for_selector(f"{FORM} [role=alert]")
    history = form.get_by_label("History")
    expect(history.locator("option")).to_have_count(2)
    history.select_option(index=1)
    page.wait_for_selector(f"{FORM} >> text=HTTP 200 >> visible=true")
    expect(request).to_have_value(re.compile(r'^\{\s*"pixels": \[\s*0\.0'))
    assert serious_violations(page) == []
