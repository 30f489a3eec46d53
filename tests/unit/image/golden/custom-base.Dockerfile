# Written by sageturner-magic; change the YAML, not this file.
FROM --platform=linux/amd64 example.org/team/python:3.12@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa AS system
RUN python -c 'import sys; found = "%d.%d" % sys.version_info[:2]; sys.exit(found != "3.12" and "python_version is 3.12, the base image has Python " + found)'

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
ENV NVIDIA_VISIBLE_DEVICES="all"
ENV PROMPT="say \"\$5\" \\ twice"
WORKDIR /opt/program
EXPOSE 8080
ENTRYPOINT ["python", "/opt/sageturner/server/__main__.py"]
CMD ["serve"]
COPY --from=server /opt/sageturner /opt/sageturner
COPY --from=packages /opt/venv /opt/venv
LABEL sageturner.requirements="845fefc4b7935df4973a1766c9871524d0e0b60f605cafd145304a10c7d2a7e9"
LABEL sageturner.server-requirements="56d0b734ba857eb0139e124e1fa50cb0519600c421d478579007df2430a2cc2c"
LABEL sageturner.version="1.2.3"
COPY program /opt/program
RUN python -m compileall -qq -j 0 --invalidation-mode=unchecked-hash /opt/program || true
