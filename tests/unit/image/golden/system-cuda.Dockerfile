# Written by sageturner-magic; change the YAML, not this file.
FROM --platform=linux/amd64 public.ecr.aws/docker/library/python:3.12-slim AS system

# CUDA 12.6 and cuDNN, which packages load from the system; the driver is the instance's.
COPY --from=example.org/cuda:12.6.3-cudnn-runtime-ubuntu22.04 /usr/local/cuda-12.6 /usr/local/cuda
COPY --from=example.org/cuda:12.6.3-cudnn-runtime-ubuntu22.04 /usr/lib/x86_64-linux-gnu/libcudnn* /usr/local/cudnn/
ENV CUDA_HOME=/usr/local/cuda PATH=/usr/local/cuda/bin:$PATH
ENV LD_LIBRARY_PATH=/usr/local/cuda/lib64:/usr/local/cudnn

# The model server and its packages, in a folder of their own: they never meet the model's.
FROM system AS server
WORKDIR /build
COPY ["server-requirements.txt", "./"]
RUN python -m pip install --no-deps --require-hashes --no-cache-dir --no-compile --disable-pip-version-check --root-user-action=ignore \
        --target=/opt/sageturner/packages --requirement=server-requirements.txt \
 && rm -rf /opt/sageturner/packages/bin \
 && { python -m compileall -qq -j 0 --invalidation-mode=unchecked-hash /opt/sageturner/packages || true; }
COPY server /opt/sageturner/server
RUN python -m compileall -qq -j 0 --invalidation-mode=unchecked-hash /opt/sageturner/server

# The model's packages, exactly as they were resolved.
FROM system AS packages
WORKDIR /build
RUN python -m venv --without-pip --system-site-packages /opt/venv
COPY ["requirements.txt", "./"]
RUN /opt/venv/bin/python -m pip install --no-deps --require-hashes --no-cache-dir --no-compile --disable-pip-version-check --root-user-action=ignore \
        --ignore-installed --requirement=requirements.txt \
 && { python -m compileall -qq -j 0 --invalidation-mode=unchecked-hash /opt/venv/lib || true; }

FROM system
ENV PATH=/opt/venv/bin:$PATH
ENV PYTHONUNBUFFERED="1"
ENV PYTHONDONTWRITEBYTECODE="1"
ENV SAGETURNER_PACKAGES="/opt/sageturner/packages"
WORKDIR /opt/program
EXPOSE 8080
ENTRYPOINT ["python", "/opt/sageturner/server/__main__.py"]
CMD ["serve"]
COPY --from=server /opt/sageturner /opt/sageturner
COPY --from=packages /opt/venv /opt/venv
LABEL sageturner.requirements="599ec335315dd35c71a0296538d887d9e171360caeb3e83e994625dfb5a528f1"
LABEL sageturner.server-requirements="56d0b734ba857eb0139e124e1fa50cb0519600c421d478579007df2430a2cc2c"
LABEL sageturner.version="1.2.3"
COPY program /opt/program
RUN python -m compileall -qq -j 0 --invalidation-mode=unchecked-hash /opt/program || true
