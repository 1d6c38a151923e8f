"""SoftHSM tokens for tests: made in a scratch folder, taken away and brought back."""
import os
import subprocess

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
           "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so")
MODULE = next((path for path in MODULES if os.path.exists(path)), None)
WHY_NOT = "no SoftHSM (Debian's package softhsm2; tools/setup --tests installs it)"
LABEL, PIN = "certmill", "sphinx-7391-quartz"  # a PIN that stands in no memory by chance


class Token:
    """A token LABEL with PIN below the folder. Programs of this process find it through SOFTHSM2_CONF."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "token")
        self.objects = os.path.join(self.folder, "objects")
        self.pin_file = os.path.join(self.folder, "pin")
        os.makedirs(self.objects, mode=0o700)
        self.conf = os.path.join(self.folder, "softhsm2.conf")
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(f"directories.tokendir = {self.objects}\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.write_pin(PIN)
        os.environ["SOFTHSM2_CONF"] = self.conf
        subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", LABEL, "--so-pin", PIN, "--pin", PIN],
                       check=True, capture_output=True)

    def write_pin(self, pin):
        with open(os.open(self.pin_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(pin)

    def init_options(self, label="certmill"):
        """For `certmill init`."""
        return ["--provider", "pkcs11", "--module", MODULE, "--token", f"pkcs11:token={LABEL}",
                "--pin", "file:" + self.pin_file, "--key-label", label]

    def provider_options(self):
        """For `certmill provider test` and `provider bench`."""
        return ["--kind", "pkcs11", "--module", MODULE, "--token", f"pkcs11:token={LABEL}", "--pin", "file:" + self.pin_file]

    def remove(self):
        os.rename(self.objects, self.objects + ".away")
        os.mkdir(self.objects, 0o700)

    def bring_back(self):
        os.rmdir(self.objects)
        os.rename(self.objects + ".away", self.objects)
