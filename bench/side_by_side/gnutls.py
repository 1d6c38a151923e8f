"""GnuTLS's certtool: a process for each certificate, and no database."""
from side_by_side import fleet as fleets
from side_by_side import measure
from side_by_side.peer import Commands

TEMPLATE = """\
expiration_days = {days}
signing_key
tls_www_client
"""


class Certtool(Commands):
    name = "certtool"
    does = "a process for each certificate, as many at once as there are processors (`xargs -P`)"
    command = "certtool --generate-certificate --load-request X.csr --template T ..."
    checks = "nothing: every CSR gets its certificate"
    keeps = "a file each, no database; no sync"
    programs, packages = ("certtool", "xargs"), ("gnutls-bin",)
    share = 0.1

    def version(self):
        return fleets.run("certtool", "--version").decode().splitlines()[0]

    def prepare(self):
        super().prepare()
        fleets.run("mkdir", "certificates", cwd=self.folder)
        self.write("template", TEMPLATE.format(days=fleets.DAYS))
        self.names = self.write("names", "".join(request.device + "\n" for request in self.requests))

    def words(self, path, out):
        return ["certtool", "--generate-certificate", "--load-request", path, "--load-ca-certificate", "ca.pem",
                "--load-ca-privkey", "ca.key", "--template", "template", "--outfile", out]

    def run(self):
        words = self.words(self.requests[0].path.replace(self.requests[0].device, "{}"), "certificates/{}.pem")
        with open(self.names, encoding="utf-8") as names:
            return measure.run_commands([["xargs", "-P", str(measure.CORES), "-I{}", *words]], self.folder, [names])

    def certificates(self):
        return self.folder_certificates("certificates")

    def cold_commands(self, request):
        return [("certtool", self.words(request.path, self.made))]
