"""A vault for benchmarks: the emulator that the tests have, with one P-256 key, and how a provider gets to it.

    with vault.started(build, "--latency-ms", "20") as (emulator, kid, options):
        ...

kid names the key; options are those of the provider, as a dictionary (providers/keyvault/options.h). The client secret is
vault.SECRET. The program is the environment's KEYVAULT_EMULATOR, or that of the build folder.
"""
import contextlib
import os
import sys

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
SECRET = "emulator-secret"  # what it takes when no option says another


@contextlib.contextmanager
def started(build, *words):
    os.environ.setdefault("KEYVAULT_EMULATOR", os.path.join(build, "tests/support/keyvault_emulator"))
    sys.path.insert(0, os.path.join(SOURCE, "tests/support"))
    import keyvault  # it reads the environment

    emulator = keyvault.Keyvault(*words)
    try:
        kid = emulator.create_key("ca", "EC-HSM", crv="P-256")["key"]["kid"]
        yield emulator, kid, {"credential": "client-secret", "client": keyvault.CLIENT_ID, "resource": keyvault.RESOURCE,
                              "trust": emulator.certificate, "authority": emulator.url}
    finally:
        emulator.stop()
