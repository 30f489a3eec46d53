"""Kinds of errors about commands, the configuration and the notebook's code."""

from sageturner_magic.error_codes.kind import Kind

KINDS = {
    "ST10": Kind(
        "The command does not fit its verb",
        "A verb, a flag or a value does not exist, is missing, or does not go with the others.",
        "`sageturner invoke` needs NAME",
        "Run `sageturner VERB --help`, which lists the arguments of the verb with examples.",
    ),
    "ST11": Kind(
        "No payload, or two payloads",
        "`invoke` sends exactly one payload: the words after the name, the cell's body, a file "
        "or standard input.",
        "There is no payload",
        "Write one payload after the name, such as `sageturner invoke digits '{\"x\": 1}'`, "
        "and leave the others out.",
    ),
    "ST12": Kind(
        "The payload cannot be read",
        "The text is neither JSON nor, in a notebook, a Python expression that evaluates. On "
        "the command line the shell may have removed the quotes.",
        "The payload is not JSON",
        "Put the JSON in single quotes, or send a file: `sageturner invoke digits @request.json`.",
    ),
    "ST13": Kind(
        "Nothing was removed",
        "A deletion needs a confirmation and nobody can answer, or endpoints still use what is "
        "to be removed.",
        "Nothing was removed: nobody can be asked here",
        "Add `--yes` in scripts. Before `teardown`, delete the endpoints with `sageturner "
        "delete NAME`.",
    ),
    "ST14": Kind(
        "Two endpoints have this name",
        "A local endpoint and one on SageMaker have the same name.",
        "`digits` is a local endpoint, and also one on SageMaker",
        "Add `-e local` or `-e serverless` to say which one you mean.",
    ),
    "ST15": Kind(
        "The form cannot be shown here",
        "The form needs JupyterLab or Notebook 7, and ipywidgets.",
        "The form needs ipywidgets",
        "Run `%pip install ipywidgets`, or write the configuration with `sageturner init`.",
    ),
    "ST16": Kind(
        "The work has not ended, or its server has",
        "A result is read before the deployment or trial ended, or the server that is followed "
        "has stopped.",
        "The deployment still runs",
        "Call `wait()` on the handle first. If a server ended, read its log and deploy again.",
    ),
    "ST17": Kind(
        "A file or folder is in the way",
        "The command never overwrites files that it did not write, and cannot write to this place.",
        "sageturner.yaml exists already",
        "Name another path, or move the existing file away.",
    ),
    "ST18": Kind(
        "A package needs a library of the system",
        "A compiled file of a package is linked to a library that the base image does not have. "
        "This is a warning: the library may be loaded only by a part that you do not use.",
        "`lightgbm` needs libgomp.so.1, which the base image does not have",
        "Add the Debian package that the message names under `system_packages`.",
    ),
    "ST19": Kind(
        "This machine differs from where the model will run",
        "A path or a Python version is not the same on this machine and in the image. This is a "
        "warning.",
        "The code has /opt/ml/model written in it",
        "Use the argument of `load(model_dir)`. Install the Python version that the message "
        "names to verify packages.",
    ),
    "ST20": Kind(
        "A key or value of the configuration is wrong",
        "A key does not exist, a value has the wrong type or is outside its limits, or two "
        "keys contradict each other.",
        "`memory` is 1500 (sageturner.yaml:7:13): serverless memory comes in steps of 1024 MB",
        "Edit the line that the message names. `sageturner plan` checks again and shows all "
        "problems at once.",
    ),
    "ST21": Kind(
        "The YAML cannot be parsed",
        "Quotes, brackets or indentation are broken, so the file has no structure.",
        "A tab is used as indentation (sageturner.yaml:4:1)",
        "Fix the line that the message names, or put the value in quotes.",
    ),
    "ST22": Kind(
        "The configuration file cannot be opened",
        "The path leads to no file, to a folder, or to a file that is not a YAML text in UTF-8.",
        "`sageturner.yml` does not exist",
        "Correct the path after `--config-path`, or write a new file with `sageturner init`.",
    ),
    "ST23": Kind(
        "There is no configuration, or it has no keys",
        "No configuration was given, or it is empty, a list or plain text.",
        "The configuration is empty",
        "Begin with `name: my-model`. `sageturner init` writes an example in which every key "
        "is explained.",
    ),
    "ST24": Kind(
        "No instance type can be chosen",
        "A `server` endpoint needs an instance type, and no trial measured what the model needs.",
        "No instance type is named, and none can be chosen",
        "Add `--instance-type ml.m5.xlarge`, or `ml.g5.xlarge` for a GPU.",
    ),
    "ST25": Kind(
        "Environment variables stay in the notebook",
        "A cell set an environment variable that the deployed code reads. This is a warning: an "
        "endpoint gets only the variables that the configuration names.",
        "The deployed code will not have environment variables that this notebook set: `MODE`",
        "Add the line that the message shows under `environment`, or under `secrets` if the "
        "value is secret.",
    ),
    "ST27": Kind(
        "A secret has no value",
        "A name under `secrets` has no value where the model runs: on this machine, or in AWS.",
        "The secret `HF_TOKEN` has no value on this machine (sageturner.yaml:2:11)",
        "Set the environment variable of that name for a local endpoint. For SageMaker run "
        "`sageturner secret put NAME`.",
    ),
    "ST28": Kind(
        "A statement is not part of the deployed code",
        "The statement changes something that the code uses, and depends on this notebook. This "
        "is a warning: the endpoint runs without the statement.",
        "`warnings.filterwarnings(mode)` is not part of the deployed code (In[3], line 1)",
        "Call it in `load()` with values written out, if predictions depend on it.",
    ),
    "ST29": Kind(
        "The code gives another result in each process",
        "The code uses `hash()` of a text, or the order of a set. Python changes both from "
        "process to process. This is a warning.",
        "`list(set(words))` is read in another order in each process if it contains text",
        "Write what the message shows, such as `sorted(set(words))`.",
    ),
    "ST31": Kind(
        "load() or predict() is missing",
        "No cell was captured under this name, or the code defines no function that the model "
        "server can call.",
        "No predict is captured for `digits`",
        "Run the cells that begin with `%%sageturner_load digits` and `%%sageturner_predict "
        "digits`.",
    ),
    "ST32": Kind(
        "Two sources of code",
        "The cells, `--model` and `code_dir` name more than one model for the same endpoint.",
        "It is unclear which cells `digits` means",
        "Put the name into the captured cells (`%%sageturner_load digits`), or leave one "
        "source out.",
    ),
    "ST33": Kind(
        "Python cannot read the code",
        "A captured cell or a file has a syntax error, or is not text in UTF-8.",
        "Python cannot read the code: invalid syntax (In[3], line 2)",
        "Fix the line that the message names, and run the cell again.",
    ),
    "ST34": Kind(
        "load() or predict() has the wrong form",
        "The model server calls `load()` or `load(model_dir)`, and `predict(model, request)` "
        "or `predict(model, request, context)`.",
        "predict(a, b, c, d) cannot be called by the model server",
        "Define a plain function with one of these signatures at the top level of the cell.",
    ),
    "ST35": Kind(
        "Code for the notebook only",
        "The cell has a shell command, a magic, or an `await` outside a function. These do not "
        "exist in a Python module.",
        "`!pip install lightgbm` is for the notebook's shell (In[2], line 1)",
        "Move the line to another cell. Put packages under `python_packages`.",
    ),
    "ST36": Kind(
        "A name is not defined",
        "`load` or `predict` uses a name that no executed cell defines, or that only the "
        "notebook has.",
        "`scaler` is not defined in any executed cell",
        "Run the cell that defines the name, or define it in the captured cell.",
    ),
    "ST37": Kind(
        "One name means two things",
        "Two imports or definitions use the same name, so the module would use the wrong one.",
        "`log` hides the import in In[3], line 2, which the code uses",
        "Import one of them under another name: `import … as …`.",
    ),
    "ST38": Kind(
        "A value exists only in this notebook",
        "The value is a connection, a generator or another live object that no code can "
        "recreate on the endpoint.",
        "`connection` is a database connection, made by `sqlite3.connect(…)`",
        "Create the value inside `load()`, or save it as a model file under `artefact`.",
    ),
    "ST39": Kind(
        "A value was changed after it was defined",
        "The source no longer gives the value that the notebook holds, so the endpoint would "
        "behave differently.",
        "`THRESHOLD` was changed after In[4]",
        "Run the cell that defines it again, or write the value that you mean there.",
    ),
    "ST40": Kind(
        "A cell that failed may have changed a value",
        "A cell raised an error after it began to run, so its effect on the value is not known.",
        "`scaler` is made by In[5], which failed",
        "Fix the cell and run it again.",
    ),
    "ST41": Kind(
        "A module cannot be shipped",
        "A module beside the notebook is compiled, imported by a relative name, or called "
        "`sageturner`.",
        "A module beside the notebook is called sageturner",
        "Rename the module, import it by its full name, or install it as a package.",
    ),
    "ST42": Kind(
        "The code or the YAML holds a secret",
        "A password, a token or a key would be shipped or shown where others can read it.",
        "The code holds what looks like an AWS access key (In[3], line 2)",
        "Name it under `secrets` and read it from the environment. Write the comment or the key "
        "that the message names if it is no secret.",
    ),
    "ST43": Kind(
        "The code folder cannot be used",
        "`code_dir` does not exist, has no `sageturner.py`, or is nested too deeply.",
        "There is no sageturner.py in `code_dir`",
        "Correct `container.generate_container.code_dir`, or add the file.",
    ),
    "ST44": Kind(
        "No code can be generated for this model",
        "The object after `--model` is not trained, is of an unknown type, or has several inputs.",
        "`classifier` (LogisticRegression) is not trained yet",
        "Train it first, or capture your own `load()` and `predict()`.",
    ),
    "ST45": Kind(
        "The example is missing or does not fit",
        "A model of this type needs an example request, or the model raises for the given one.",
        "`net` (torch) needs an example",
        "Add a few rows of what the model takes: `--example X_test[:3]`.",
    ),
    "ST46": Kind(
        "load() or predict() fails in a clean process",
        "The code raised an error or ended Python in a new process that has only the shipped "
        "code and files.",
        "load() raises FileNotFoundError (In[1], line 4)",
        "Fix the line that the message names, then run `sageturner try` again.",
    ),
    "ST47": Kind(
        "load() or predict() is too slow",
        "The trial reached its timeout.",
        "load() takes longer than 480 s",
        "Save the trained model and only read it in `load()`, or raise "
        "`compute.local.startup_timeout_s`.",
    ),
    "ST48": Kind(
        "A request or response cannot be converted",
        "The payload cannot be decoded, `load()` returns `None`, or `predict()` returns a "
        "value that JSON cannot hold.",
        "The value that predict() returns cannot be sent as a response",
        "Return plain values: `float(x)`, `x.tolist()`, `vars(x)`.",
    ),
    "ST49": Kind(
        "predict() returns something else than in the notebook",
        "The deployed code and predict() of the notebook got the same request, and their responses "
        "differ.",
        "predict() returns something else than in the notebook",
        "Run the cells that load() and predict() use again, top to bottom. `--no-compare` deploys "
        "the code as it is.",
    ),
}
