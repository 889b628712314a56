"""The copies of the app and the nginx in front of them, started as docs/deploy says."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time

import pytest
from playwright.sync_api import expect

from benchmarks.app import CHROMIUM_FLAGS, free_port
from tests.browser.conftest import ROOT, START_SECONDS, answers
from tests.browser.watching import PLAYER, START_MS, settle, visit

UNIT = ROOT / "docs" / "deploy" / "convlstm@.service"
SITE = ROOT / "docs" / "deploy" / "nginx.conf"
AROUND = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    include /etc/nginx/mime.types;
    log_format where '$upstream_addr $cookie_convlstm_copy $status $request_uri';
    access_log {folder}/access.log where;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def of_unit(port):
    """Environment and command of a copy, as the systemd unit has them."""
    text = UNIT.read_text().replace("%i", str(port))
    command = shlex.split(re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)[1])
    assert command[0] == "/opt/convlstm/.venv/bin/python"
    environment = dict(
        word.split("=", 1) for word in re.search(r"^Environment=(.*)$", text, re.MULTILINE)[1].split()
    )
    return environment, [sys.executable, *command[1:]]


def wait_for(url, process, log):
    deadline = time.monotonic() + START_SECONDS
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{url} does not answer:\n{log.read_text()[-3000:]}")
        time.sleep(0.2)


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """Two copies of the app by their names in nginx, and the address of nginx."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no nginx found")
        pytest.skip("no nginx found")
    folder = tmp_path_factory.mktemp("copies")
    ports = {"one": free_port(), "two": free_port()}
    front = free_port()
    processes, log = {}, folder / "copies.log"
    site = SITE.read_text().replace("listen 80;", f"listen 127.0.0.1:{front};")
    for port, own in zip(("8501", "8502"), ports.values(), strict=True):
        site = site.replace(f"127.0.0.1:{port}", f"127.0.0.1:{own}")
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
    with log.open("w") as out:
        for name, port in ports.items():
            environment, command = of_unit(port)
            environment |= {"HOME": str(folder), "CONVLSTM_RUNS": str(folder / "runs")}
            processes[name] = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | environment, stdout=out, stderr=subprocess.STDOUT
            )
        arguments = [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")]
        processes["nginx"] = subprocess.Popen(arguments, stdout=out, stderr=subprocess.STDOUT)
    try:
        for name, port in ports.items():
            wait_for(f"http://127.0.0.1:{port}/_stcore/health", processes[name], log)
        wait_for(f"http://127.0.0.1:{front}/_stcore/health", processes["nginx"], folder / "error.log")
        yield processes, ports, front, folder
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait(timeout=20)


@pytest.fixture
def visitor(chromium, browser, copies):
    """Somebody whose browser finds the name of the site on this machine."""
    flags = [*CHROMIUM_FLAGS, "--host-resolver-rules=MAP convlstm.example 127.0.0.1"]
    own = browser.browser_type.launch(executable_path=chromium, args=flags)
    context = own.new_context(base_url=f"http://convlstm.example:{copies[2]}")
    yield context.new_page()
    own.close()


@pytest.mark.slow
def test_a_visitor_stays_with_a_copy_and_survives_its_end(visitor, copies):
    processes, ports, _, folder = copies
    visit(visitor, "/")
    (cookie,) = [cookie for cookie in visitor.context.cookies() if cookie["name"] == "convlstm_copy"]
    copy = cookie["value"]
    assert cookie["httpOnly"]
    asked = [line.split(maxsplit=3) for line in (folder / "access.log").read_text().splitlines()]
    with_cookie = [line for line in asked if line[1] == copy]
    assert len(with_cookie) > 5
    assert {line[0] for line in with_cookie} == {f"127.0.0.1:{ports[copy]}"}

    visitor.get_by_role("button", name="Collision").click()
    settle(visitor)
    address = visitor.url
    processes[copy].kill()
    processes[copy].wait()
    visitor.reload()
    expect(visitor.locator(PLAYER)).to_be_visible(timeout=START_MS)
    settle(visitor)
    assert visitor.url == address  # with the scene
    expect(visitor.get_by_test_id("stException")).to_have_count(0)


def test_headers_and_training_are_those_of_a_public_host(copies, visitor):
    _, _, front, _ = copies
    answer = visitor.request.get(f"http://127.0.0.1:{front}/")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
    visitor.goto("/training")
    expect(visitor.get_by_text("Training from this page is switched off").first).to_be_visible(
        timeout=START_MS
    )


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_the_unit_is_one(tmp_path):
    python = tmp_path / "python"
    python.write_text("")
    python.chmod(0o755)
    unit = tmp_path / "convlstm@8501.service"
    unit.write_text(UNIT.read_text().replace("/opt/convlstm/.venv/bin/python", str(python)))
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")


def docker(word):
    """The instructions of a kind."""
    return re.findall(rf"^{word} (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_the_image_holds_what_it_starts_and_installs_as_ci_does():
    sent = [source for line in docker("COPY") for source in line.split()[:-1]]
    assert all((ROOT / source).exists() for source in sent)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{source.removesuffix('/')}" for source in sent} <= set(ignored)
    imported = {path.name for path in (ROOT / "core", ROOT / "pages", ROOT / "ui")}
    assert imported <= set(sent)
    (install,) = (line for line in docker("RUN") if "pip" in line)
    script = (ROOT / ".ci" / "run").read_text().replace(" --no-compile", "")
    installs = re.findall(r"python -m pip install.*", script)
    assert (
        install.replace(" --no-cache-dir", "").replace("requirements.txt", "requirements-dev.txt") in installs
    )
    unit = of_unit(8501)[1]
    (command,) = docker("CMD")
    assert json.loads(command)[1:3] == unit[1:3] == ["-m", "streamlit"]
    options = json.loads(command)[5:]
    assert set(options) - {"0.0.0.0"} <= set(unit)
