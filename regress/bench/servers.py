"""The servers that are measured, each on its own loopback port with its own
spool, started in the foreground and ended by pid. Standard library only."""
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
POSTFIX = os.path.join(TOP, "build/peers/postfix")
POSTFIX_ENV = dict(os.environ, LD_LIBRARY_PATH=POSTFIX + "/usr/lib/postfix")
SINK = 2590


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def wait_greeting(port, host="127.0.0.1", seconds=30):
    end = time.time() + seconds
    while time.time() < end:
        try:
            with socket.create_connection((host, port), 5) as s:
                if s.recv(64).startswith(b"220"):
                    return
        except OSError:
            pass
        time.sleep(0.01)
    raise RuntimeError("no greeting on port %d" % port)


def children(pid):
    """pid and all its descendants."""
    parents = {}
    for p in os.listdir("/proc"):
        if p.isdigit():
            try:
                with open("/proc/%s/stat" % p) as f:
                    parents.setdefault(
                        int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(p))
            except OSError:
                pass
    todo, out = [pid], []
    while todo:
        p = todo.pop()
        out.append(p)
        todo += parents.get(p, [])
    return out


def certificate(path):
    """path.crt and path.key, ECDSA P-256."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", path + ".key", "-out",
                    path + ".crt", "-subj", "/CN=bench.example", "-days", "30"],
                   check=True, stderr=subprocess.DEVNULL)


class Server:
    name = ""

    def __init__(self, scratch):
        self.dir = os.path.join(scratch, self.name)

    def start(self, mode):
        """mode: hold (take, durably, deliver nothing), relay, proxy, tls."""
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        os.chmod(self.dir, 0o755)
        self.prepare(mode)
        with open(self.dir + "/log", "ab") as log:
            self.top = subprocess.Popen(self.argv(), stdout=log, stderr=log,
                                        stdin=subprocess.DEVNULL, env=self.env())
        self.pid = self.top.pid
        self.wait(mode)
        self.started(mode)

    def wait(self, mode):
        wait_greeting(self.port)

    def started(self, mode):
        pass

    def env(self):
        return dict(os.environ)

    def stop(self):
        self.top.send_signal(signal.SIGTERM)
        try:
            self.top.wait(20)
        except subprocess.TimeoutExpired:
            self.top.kill()
            self.top.wait()

    def cpu(self):
        """Seconds of CPU used by living processes and those already reaped."""
        total = 0.0
        tick = os.sysconf("SC_CLK_TCK")
        for p in children(self.pid):
            try:
                with open("/proc/%d/schedstat" % p) as f:
                    total += int(f.read().split()[0]) / 1e9
                with open("/proc/%d/stat" % p) as f:
                    a = f.read().rsplit(")", 1)[1].split()
                total += (int(a[13]) + int(a[14])) / tick
            except OSError:
                pass
        return total

    def pss(self):
        """KiB of memory of all its processes, shared pages divided."""
        total = 0
        for p in children(self.pid):
            try:
                with open("/proc/%d/smaps_rollup" % p) as f:
                    for line in f:
                        if line.startswith("Pss:"):
                            total += int(line.split()[1])
            except OSError:
                pass
        return total


class Postern(Server):
    name, port, build = "postern", 2591, os.path.join(TOP, "build")
    smtps = 2597

    def prepare(self, mode):
        way = 'proxy "live"' if mode == "proxy" else ""
        tls = ""
        if mode == "tls":
            certificate(self.dir + "/bench")
            tls = f"""pki bench.example cert "{self.dir}/bench.crt" key "{self.dir}/bench.key"
listen on 127.0.0.1 port {self.smtps} smtps pki bench.example
"""
        rule = "" if mode == "proxy" else 'match from any for any action "out"'
        write(self.dir + "/postern.conf", f"""hostname bench.example
action "out" relay to {{ "127.0.0.1:{SINK}" }} open
action "live" proxy to {{ "127.0.0.1:{SINK}" }}
listen on 127.0.0.1 port {self.port} {way}
{tls}{rule}
queue path "{self.dir}/spool"
control path "{self.dir}/run"
limit deliveries per destination 50
""")

    def argv(self):
        return [self.build + "/postern", "-d", "-f", self.dir + "/postern.conf",
                "-L", self.build]

    def started(self, mode):
        if mode == "hold":
            subprocess.run([self.build + "/posternctl", "-s", self.dir + "/run",
                            "pause", "mta"], check=True)


class Postfix(Server):
    name, port = "postfix", 2592

    def prepare(self, mode):
        d = self.dir
        for x in ("spool", "data"):
            os.makedirs(d + "/" + x)
        shutil.chown(d + "/data", "daemon")
        hold = "check_recipient_access static:HOLD," if mode == "hold" else ""
        proxy = f"  -o smtpd_proxy_filter=127.0.0.1:{SINK}\n" if mode == "proxy" else ""
        write(d + "/etc/main.cf", f"""compatibility_level = 3.6
queue_directory = {d}/spool
data_directory = {d}/data
command_directory = {POSTFIX}/usr/sbin
daemon_directory = {POSTFIX}/usr/lib/postfix/sbin
shlib_directory = {POSTFIX}/usr/lib/postfix
meta_directory = {POSTFIX}/etc/postfix
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C LD_LIBRARY_PATH
mail_owner = daemon
setgid_group = games
default_privs = nobody
maillog_file = {d}/maillog
maillog_file_prefixes = {d}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = bench.example
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{SINK}
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks,reject
smtpd_recipient_restrictions = {hold}permit_mynetworks,reject
default_process_limit = 150
max_use = 10000
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_destination_concurrency_limit = 50
initial_destination_concurrency = 50
qmgr_message_active_limit = 50000
smtp_connection_cache_destinations = [127.0.0.1]:{SINK}
smtp_connection_reuse_count_limit = 0
smtp_tls_security_level = none
smtpd_tls_security_level = none
local_header_rewrite_clients =
notify_classes =
biff = no
""")
        write(d + "/etc/master.cf", f"127.0.0.1:{self.port} inet n - n - 0 smtpd\n" + proxy
              + """postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
""")
        subprocess.run([POSTFIX + "/usr/sbin/postfix", "-c", d + "/etc", "check"],
                       env=POSTFIX_ENV, capture_output=True)

    def argv(self):
        return [POSTFIX + "/usr/lib/postfix/sbin/master", "-c", self.dir + "/etc", "-d"]

    def env(self):
        return POSTFIX_ENV

    def stop(self):
        pids = children(self.pid)
        super().stop()
        end = time.time() + 5
        while time.time() < end and any(os.path.exists("/proc/%d" % p) for p in pids):
            time.sleep(0.05)


class Nginx(Server):
    """Its mail proxy: reads the greeting and AUTH, then passes bytes on."""
    name, port, asked = "nginx", 2593, 2594

    def prepare(self, mode):
        top = os.path.join(TOP, "build/peers/nginx")
        os.makedirs(self.dir + "/tmp")
        temp = "".join(f"  {x}_temp_path {self.dir}/tmp/{x};\n" for x in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        write(self.dir + "/nginx.conf", f"""load_module {top}/usr/lib/nginx/modules/ngx_mail_module.so;
user daemon;
worker_processes 2;
pid {self.dir}/pid;
error_log {self.dir}/error.log error;
events {{ worker_connections 4000; }}
http {{
  access_log off;
{temp}
  server {{
    listen 127.0.0.1:{self.asked};
    location / {{
      add_header Auth-Status OK;
      add_header Auth-Server 127.0.0.1;
      add_header Auth-Port {SINK};
      return 204;
    }}
  }}
}}
mail {{
  server_name bench.example;
  auth_http 127.0.0.1:{self.asked}/;
  resolver off;
  server {{
    listen 127.0.0.1:{self.port} backlog=1024;
    protocol smtp;
    smtp_auth none;
    xclient off;
    proxy_buffer 64k;
    smtp_client_buffer 16k;
    timeout 600s;
    proxy_timeout 600s;
  }}
}}
""")

    def argv(self):
        return [os.path.join(TOP, "build/peers/nginx/usr/sbin/nginx"), "-p", self.dir,
                "-c", self.dir + "/nginx.conf", "-g", "daemon off;"]


class Haproxy(Server):
    """Plain TCP: what it costs to put any process in between."""
    name, port = "haproxy", 2595

    def prepare(self, mode):
        write(self.dir + "/haproxy.cfg", f"""global
  maxconn 4000
  nbthread 2
defaults
  mode tcp
  timeout connect 5s
  timeout client 600s
  timeout server 600s
listen smtp
  bind 127.0.0.1:{self.port} backlog 1024
  server sink 127.0.0.1:{SINK}
""")

    def argv(self):
        return [os.path.join(TOP, "build/peers/haproxy/usr/sbin/haproxy"),
                "-f", self.dir + "/haproxy.cfg", "-db"]


class Openssl(Server):
    """openssl s_server: the library and nothing else."""
    name, port, smtps = "openssl", 2598, 2598

    def prepare(self, mode):
        certificate(self.dir + "/bench")

    def wait(self, mode):
        end = time.time() + 10
        while time.time() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return
            except OSError:
                time.sleep(0.01)
        raise RuntimeError("nobody listens on port %d" % self.port)

    def argv(self):
        return ["openssl", "s_server", "-accept", "127.0.0.1:%d" % self.port, "-cert",
                self.dir + "/bench.crt", "-key", self.dir + "/bench.key", "-quiet", "-rev",
                "-no_ticket", "-no_cache"]


class Sink:
    """smtp-sink with its counter of messages (-c writes it as it changes)."""

    def __init__(self):
        self.p = subprocess.Popen(
            [POSTFIX + "/usr/sbin/smtp-sink",
             *(["-u", "nobody"] if os.geteuid() == 0 else []), "-c", "-m", "2000", "-t", "600",
             f"127.0.0.1:{SINK}", "2000"], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=POSTFIX_ENV)
        self.tail = b""
        # Read all the time: a sink whose output is not read stops.
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        wait_greeting(SINK)

    def read(self):
        while b := os.read(self.p.stdout.fileno(), 1 << 16):
            self.tail = (self.tail + b)[-400:]

    def count(self):
        """Messages taken so far."""
        for part in reversed(self.tail.split(b"\r")[:-1]):
            for word in part.split():
                if word.startswith(b"mesg="):
                    return int(word[5:])
        return 0

    def stop(self):
        self.p.terminate()
        self.p.wait()
        self.reader.join()
