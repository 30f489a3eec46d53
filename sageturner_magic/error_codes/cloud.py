"""Kinds of errors about model files, images, AWS, endpoints and requests."""

from sageturner_magic.error_codes.kind import Kind

KINDS = {
    "ST50": Kind(
        "The model files cannot be shipped",
        "The artefact holds something that cannot be packed or read.",
        "The artefact `./model` cannot be shipped",
        "Take the file that the message names out of the folder.",
    ),
    "ST51": Kind(
        "There are no model files",
        "The path under `artefact` does not exist, or the folder, archive or list is empty.",
        "The artefact `./modell` does not exist",
        "Correct the path. It is relative to the YAML file, or to the notebook's folder.",
    ),
    "ST52": Kind(
        "The notebook has no such variable",
        "`artefact` names a variable that the notebook does not hold.",
        "The notebook has no variable `clasifier`",
        "Correct the name, or run the cell that creates it.",
    ),
    "ST53": Kind(
        "A file name does not fit",
        "A name under `artefact` is used twice, leaves the folder, or has an unknown extension.",
        "`model.xyz` has an extension that names no format",
        "Use a name such as `model.joblib`.",
    ),
    "ST54": Kind(
        "The object cannot be saved in this format",
        "The library that writes the format does not take the object, or would change it.",
        "`model`, a Pipeline, cannot be saved as model.npy",
        "Choose the extension that the message names, such as `.joblib`.",
    ),
    "ST55": Kind(
        "The objects are too large",
        "Objects that the code uses are shipped beside files in S3, up to 50 MB.",
        "The notebook's objects are too large to ship beside the code (80 MB)",
        "Put the objects among the files in S3, and read them in `load()`.",
    ),
    "ST56": Kind(
        "The archive is damaged or unsafe",
        "The archive cannot be unpacked, or a member would be written outside its folder.",
        "The archive's member `../../etc/passwd` leaves the folder",
        "Create it again: `tar -czf model.tar.gz -C FOLDER .`",
    ),
    "ST57": Kind(
        "A file is not a model",
        "The file is empty, a Git LFS pointer, or a web page that was saved in place of the model.",
        "`model.onnx` is a Git LFS pointer, not the file itself",
        "Run `git lfs pull`, or download the file again.",
    ),
    "ST58": Kind(
        "A file cannot be read",
        "A link, a device or a file without read permission is among the model files.",
        "The link latest leads back to a folder that it lies in",
        "Remove it, or replace the link by the file.",
    ),
    "ST59": Kind(
        "The model files are in S3",
        "This action runs on this machine and needs the files here.",
        "An artefact in S3 is not a file on this machine",
        "Download them (`aws s3 cp --recursive`), and name the folder as `artefact`.",
    ),
    "ST60": Kind(
        "The image cannot be created",
        "A layer, a file or the disk of this machine cannot be used.",
        "the disk is full",
        "Follow the remedy of the message, and run the command again. It continues where it "
        "stopped.",
    ),
    "ST61": Kind(
        "Packages are not found or contradict each other",
        "No index has a version that fits the Python version, the platform and the other packages.",
        "a package has no such version",
        "Change the entry under `python_packages`, or add its index: `--extra-index-url URL`.",
    ),
    "ST62": Kind(
        "An installed package is on no index",
        "The notebook's package came from conda, a folder or a special build, so the image "
        "cannot install it.",
        "`lightgbm` 4.1 was installed by conda, and pip cannot install it",
        "Install it with pip, or list a version that an index has under `python_packages`.",
    ),
    "ST63": Kind(
        "A requirement is not understood",
        "The line follows neither pip's nor PEP 508's syntax.",
        "`--find numpy` is not understood",
        "Write `NAME==VERSION`, `NAME @ URL` or `git+https://HOST/REPOSITORY@REVISION`.",
    ),
    "ST64": Kind(
        "A package has no wheel",
        "The package must be built from source, and the build fails or needs a compiler.",
        "lightgbm 4.1 has no wheel for linux/amd64 and Python 3.12",
        "Choose a version that has a wheel, or set `builder: docker`.",
    ),
    "ST65": Kind(
        "A package's file is damaged or cannot be fetched",
        "A download broke off, or a wheel does not follow the format.",
        "numpy-2.1.0.whl cannot be fetched",
        "Run the command again. If it fails again, choose another version of the package.",
    ),
    "ST66": Kind(
        "Docker is needed and does not respond",
        "No Docker engine runs here, and this configuration needs one.",
        "no Docker engine answers",
        "Start Docker, or set `builder: layers`, which needs no Docker.",
    ),
    "ST67": Kind(
        "The Docker build fails",
        "There is no Dockerfile, or one of its instructions fails.",
        "building the image failed: a system package does not exist",
        "Read the build's log below the message, and edit the Dockerfile or `system_packages`.",
    ),
    "ST68": Kind(
        "The base image does not fit",
        "The base image does not exist, has another Python version, or has no Python.",
        "there is no base image python:3.14-slim for linux/amd64",
        "Correct `base_image` and `python_version`, or leave both out.",
    ),
    "ST69": Kind(
        "The registry refuses or loses the image",
        "The registry cannot be reached, refuses the credentials, or does not hold what was "
        "pushed.",
        "the registry 111122223333.dkr.ecr.eu-west-1.amazonaws.com wants credentials",
        "Log in (`docker login`) and check the network, then deploy again. The upload "
        "continues where it stopped.",
    ),
    "ST70": Kind(
        "A call to AWS failed",
        "AWS refused the request for a reason that has no narrower code.",
        "Could not create the endpoint: AWS answered ValidationException",
        "Follow the remedy of the message. The details name the request for AWS Support.",
    ),
    "ST71": Kind(
        "No AWS credentials or region",
        "No profile, region or valid credentials were found, or a session has expired.",
        "No AWS credentials were found",
        "Run `aws configure` or `aws sso login`, or name a profile with `--profile NAME`.",
    ),
    "ST72": Kind(
        "A permission is missing",
        "A policy of your user or of the execution role does not allow the call.",
        "Could not create the bucket: the permission s3:CreateBucket is missing",
        "Add the statement that the message shows. `sageturner setup --show-policy` prints all "
        "of them.",
    ),
    "ST73": Kind(
        "The execution role cannot be used",
        "The role does not exist, is in another account, or does not trust SageMaker.",
        "The execution role does not exist",
        "Run `sageturner setup`, or name your own role under `overrides.role_name`.",
    ),
    "ST74": Kind(
        "The bucket cannot be used",
        "The bucket does not exist, is in another region, or belongs to someone else.",
        "The bucket does not exist",
        "Run `sageturner setup`, or name your own bucket under `overrides.bucket_name`.",
    ),
    "ST75": Kind(
        "The S3 object is not there",
        "The S3 address is wrong, or nothing is stored under it.",
        "Nothing lies below s3://team/models/digits/",
        "Correct the address under `artefact`. `aws s3 ls` lists what is there.",
    ),
    "ST76": Kind(
        "The account's quota is too small",
        "The endpoint needs more instances, memory or concurrency than the account may use.",
        "2 instances ml.g5.xlarge are more than the account may have",
        "Ask for a higher quota on the page that the message names, or choose another type.",
    ),
    "ST77": Kind(
        "The instance type or AMI does not exist",
        "SageMaker does not offer this name for endpoints, or the installed boto3 does not "
        "know it yet.",
        "'ml.m5.xlarg' is no instance type for endpoints",
        "Correct the name, or run `pip install --upgrade boto3`.",
    ),
    "ST78": Kind(
        "GPU, driver and packages do not fit",
        "The wheels need another GPU, driver or CUDA version than the instance has.",
        "torch 2.9 for CUDA 13 cannot run on ml.p3.2xlarge",
        "Choose the instance type or package version that the message names.",
    ),
    "ST79": Kind(
        "AWS cannot be reached",
        "The network, the proxy or a certificate stops requests to AWS.",
        "Could not read the caller's identity: the host name cannot be resolved",
        "Check the network and `HTTPS_PROXY`, then run the command again.",
    ),
    "ST80": Kind(
        "The endpoint cannot do this",
        "The state or type of the endpoint does not allow the action.",
        "digits runs on instances and cannot become serverless",
        "Follow the remedy of the message. `sageturner status NAME` shows the endpoint's state.",
    ),
    "ST81": Kind(
        "There is no such endpoint",
        "No endpoint of this name exists on this machine, or in this account and region.",
        "There is no endpoint `digit` on this machine or in eu-west-1",
        "Run `sageturner list`, and check `--region` and `--profile`.",
    ),
    "ST82": Kind(
        "Too large for serverless",
        "A serverless endpoint takes images and model files of limited size only.",
        "The image has 11.2 GB, a serverless endpoint takes 10.0 GB",
        "Leave packages out, make the model smaller, or deploy with `-e server`.",
    ),
    "ST83": Kind(
        "The endpoint belongs to someone else",
        "An endpoint of this name exists and was not created by this package.",
        "The endpoint digits was not made by sageturner",
        "Choose another `name`.",
    ),
    "ST84": Kind(
        "Another deployment changes the endpoint",
        "The endpoint is being created, updated or deleted, or was changed in the meantime.",
        "digits is being updated",
        "Wait until `sageturner status NAME` shows that it has settled, and deploy again.",
    ),
    "ST85": Kind(
        "There is no version to roll back to",
        "The endpoint has no earlier version, or its image was removed.",
        "There is no earlier version of digits to roll back to",
        "Deploy the code that the endpoint is to run.",
    ),
    "ST86": Kind(
        "The endpoint did not start",
        "The container or `load()` failed, or was not ready in time.",
        "The endpoint did not start: nothing answered GET /ping on port 8080 in time",
        "Read the log below the message. `sageturner try` runs `load()` and `predict()` on "
        "this machine.",
    ),
    "ST87": Kind(
        "The image cannot run without Docker here",
        "Unpacked images need Linux with user namespaces, and the image's architecture.",
        "An unpacked image cannot be run here",
        "Start Docker, or set `compute: {local: {mode: process}}`.",
    ),
    "ST88": Kind(
        "The image fails its smoke test",
        "The image was started once on this machine, and its example request failed.",
        "The example request is answered with 500",
        "Fix `predict`, or the example request, at the line that the message names.",
    ),
    "ST89": Kind(
        "Facts about the endpoint cannot be read",
        "The code, the log or the local record of the endpoint is missing or damaged.",
        "The image of endpoint `digits` is not known",
        "Deploy the endpoint again.",
    ),
    "ST90": Kind(
        "The endpoint refused the request",
        "The request is too large, is throttled, or does not have the form that the endpoint "
        "takes.",
        "digits did not take the request",
        "Follow the remedy of the message. `sageturner logs NAME` shows what the server wrote.",
    ),
    "ST91": Kind(
        "The model raised an error",
        "`predict()` raised an exception for this request.",
        "predict raised KeyError",
        "Fix the request, or the line that the details name. `sageturner try NAME PAYLOAD` "
        "repeats it here.",
    ),
    "ST92": Kind(
        "No response in time",
        "The model took longer than the timeout.",
        "Endpoint `digits` did not respond within 60 s",
        "Raise `--timeout`, stream the response, or use an `async` endpoint.",
    ),
    "ST93": Kind(
        "The response broke off",
        "The connection closed before the whole response arrived.",
        "The response broke off",
        "Run `sageturner logs NAME` to see why the worker stopped.",
    ),
    "ST94": Kind(
        "The payload cannot be encoded",
        "The value has a type or a number (NaN, infinity) that the media type cannot hold.",
        "The payload has a number that JSON does not know at `x[3]`",
        "Convert it to lists, dicts, numbers and strings first.",
    ),
    "ST95": Kind(
        "The endpoint cannot be reached",
        "The local server has ended, or its port does not respond.",
        "Endpoint `digits` cannot be reached: its server has ended",
        "Deploy the endpoint again.",
    ),
    "ST96": Kind(
        "Requests of a load test failed",
        "Some requests received an error or were throttled.",
        "12 of 500 requests failed",
        "Run `sageturner logs NAME`, or lower `--concurrency`.",
    ),
    "ST97": Kind(
        "Deploying replaces something that may be wanted",
        "The endpoint was changed by hand, has another number of instances, or becomes a type "
        "that cannot be changed back. This is a warning.",
        "digits is serverless, and deploying moves it to instances for good",
        "Deploy under another `name`, or change the configuration as the message says, to keep "
        "what is there.",
    ),
    "ST98": Kind(
        "Stopped by you",
        "Ctrl-C, the stop button or SIGTERM ended the command.",
        "`sageturner deploy` was stopped",
        "Run the same command again. It continues where it stopped.",
    ),
    "ST99": Kind(
        "A bug of this package",
        "The code met a state that it does not know.",
        "This is a bug of sageturner_magic: KeyError: 'x'",
        "Report it with the whole message. Running the same command again is safe.",
    ),
}
