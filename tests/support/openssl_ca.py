"""A CA of `openssl ca` in a folder: what people have before they move in, and a judge that is not ours."""
import os
import subprocess

CONFIG = """\
[ca]
default_ca = here
[here]
database = index.txt
new_certs_dir = newcerts
certificate = ca.pem
private_key = ca.key
serial = serial
crlnumber = crlnumber
default_md = sha256
default_days = 3650
default_crl_days = 30
unique_subject = no
policy = any
x509_extensions = device
[any]
commonName = supplied
[device]
basicConstraints = critical,CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
{extensions}
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[responder]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = OCSPSigning
noCheck = ignored
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[req]
distinguished_name = name
[name]
"""


class OpensslCa:
    """extensions: more lines for certificates of devices; serial: the first one, hex."""

    def __init__(self, folder, name="Old CA", extensions="", serial="01"):
        self.folder = folder
        os.makedirs(self.path("newcerts"))
        self.write("ca.cnf", CONFIG.format(extensions=extensions))
        self.write("index.txt", "")
        self.write("serial", serial + "\n")
        self.write("crlnumber", "01\n")
        self.make_key("ca.key")
        self.openssl("req", "-new", "-x509", "-config", "ca.cnf", "-extensions", "authority", "-days", "7000", "-key",
                     "ca.key", "-subj", f"/CN={name}", "-out", "ca.pem")

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def openssl(self, *arguments):
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"openssl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def make_key(self, name):
        self.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", name)
        os.chmod(self.path(name), 0o600)

    def issue(self, name, extensions="device"):
        """The path of a new certificate, in PEM behind the text that openssl writes."""
        self.make_key(f"{name}.key")
        self.openssl("req", "-new", "-config", "ca.cnf", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr")
        self.openssl("ca", "-batch", "-config", "ca.cnf", "-extensions", extensions, "-in", f"{name}.csr", "-out", f"{name}.pem")
        return self.path(f"{name}.pem")

    def revoke(self, name, *how):
        """how: "-crl_reason", "superseded"; "-crl_compromise", "20260130000000Z"; ..."""
        self.openssl("ca", "-batch", "-config", "ca.cnf", "-revoke", f"{name}.pem", *how)

    def crl(self, name="ca.crl"):
        self.openssl("ca", "-config", "ca.cnf", "-gencrl", "-out", name)
        return self.path(name)

    def serial(self, name):
        """Lower-case hex."""
        return self.openssl("x509", "-noout", "-serial", "-in", f"{name}.pem").strip().partition("=")[2].lower()
