"""`openssl ca`: a database in a text file, which it reads at its start and writes anew at its end."""
from side_by_side import fleet as fleets
from side_by_side import measure
from side_by_side.peer import Commands, Peer

CONFIG = """\
[ca]
default_ca = here
[here]
database = index.txt
new_certs_dir = certificates
certificate = ca.pem
private_key = ca.key
rand_serial = yes
default_md = sha256
default_days = {days}
unique_subject = no
policy = any
x509_extensions = device
[any]
commonName = supplied
[device]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


class OpensslCa(Commands):
    name = "openssl-ca"
    does = "`openssl ca` in batches, one process: it has no other way to use one database"
    command = "openssl ca -batch -notext -config ca.cnf -out /dev/null -infiles *.csr"
    checks = "nothing: every CSR gets its certificate"
    keeps = "a file each, index once at the end; no sync"
    programs = packages = ("openssl",)
    share = 0.25
    processes = 1

    def version(self):
        return " ".join(fleets.run("openssl", "version").decode().split()[:2])

    def prepare(self):
        super().prepare()
        fleets.run("mkdir", "certificates", "part-0", "part-1", cwd=self.folder)
        for name in ("index.txt", "part-0/index.txt", "part-1/index.txt"):
            self.write(name, "")
        text = CONFIG.format(days=fleets.DAYS)
        self.write("ca.cnf", text)
        for part in ("part-0", "part-1"):
            self.write(f"{part}.cnf", text.replace("index.txt", part + "/index.txt"))

    def words(self, config, paths, *more):
        return ["openssl", "ca", "-batch", "-notext", "-config", config, *more, "-infiles", *paths]

    def run(self):
        configs = ["ca.cnf"] if self.processes == 1 else ["part-0.cnf", "part-1.cnf"]
        paths = [request.path for request in self.requests]
        return measure.run_commands([self.words(config, paths[number::len(configs)], "-out", "/dev/null")
                                     for number, config in enumerate(configs)], self.folder)

    def certificates(self):
        return self.folder_certificates("certificates")

    def cold_commands(self, request):
        bare = ["openssl", "x509", "-req", "-in", request.path, "-CA", "ca.pem", "-CAkey", "ca.key", "-days", str(fleets.DAYS),
                "-extfile", "ca.cnf", "-extensions", "device", "-out", "bare.pem"]
        return [("openssl x509 -req", bare), ("openssl ca", self.words("ca.cnf", [request.path], "-out", self.made))]


class TwoOpensslCas(OpensslCa):
    name = "openssl-ca-2"
    does = "the same in two processes with a database each, half of the CSRs to each"
    command = "the same twice at once"
    processes = 2
    one_by_one = Peer.one_by_one  # nothing: the other one tells it
