#!/usr/bin/env python3
"""tools/check-layers finds offences that are planted in a tree of its own, and nothing else."""
import os
import subprocess
import sys
import tempfile
import unittest

CHECK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "check-layers")


class Layers(unittest.TestCase):
    def check(self, *files):
        """Runs the check on a tree with the given (path, included header) files."""
        with tempfile.TemporaryDirectory() as root:
            for path, header in files:
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as out:
                    out.write(f'/* a file */\n#include <stdio.h>\n#include "{header}"\n')
            run = subprocess.run([sys.executable, CHECK, "--root", root], capture_output=True, text=True, check=False)
            return run.returncode, run.stdout

    def refused(self, path, header, reason):
        code, out = self.check((path, header))
        self.assertEqual(code, 1, out)
        self.assertIn(f"{path}:3: ", out)
        self.assertIn(header, out)
        self.assertIn(reason, out)

    def accepted(self, path, header):
        code, out = self.check((path, header))
        self.assertEqual(code, 0, out)

    def test_an_arrow_that_points_up_is_refused(self):
        for path, header in (
            ("engine/base/log.c", "engine/x509/der.h"),
            ("engine/base/log.c", "engine/settings/settings.h"),
            ("engine/x509/csr.c", "providers/provider.h"),
            ("engine/x509/csr.h", "engine/store/store.h"),
            ("providers/provider.c", "queue/queue.h"),
            ("providers/openssl/key.c", "engine/store/store.h"),
            ("queue/redis/redis.c", "engine/admit.h"),
            ("queue/queue.h", "engine/status/http.h"),
            ("engine/store/sqlite/sqlite.c", "queue/queue.h"),
            ("engine/store/store.c", "engine/authority/authority.h"),
            ("engine/revocation/book.c", "engine/status/status.h"),
            ("engine/revocation/publisher.c", "engine/batch.h"),
            ("engine/status/http.c", "engine/engine.h"),
            ("engine/intake.c", "tools/command.h"),
            ("engine/authority/rotate.c", "tests/support/test_main.h"),
            ("tools/serve.c", "bench/load.h"),
            ("tools/serve.c", "tests/support/test_main.h"),
            ("bench/load.c", "tests/support/test_main.h"),
        ):
            with self.subTest(path=path, header=header):
                self.refused(path, header, "must not include")

    def test_a_path_that_does_not_start_at_the_root_is_refused(self):
        self.refused("engine/base/log.c", "status.h", "not a path from the root")
        self.refused("queue/redis/redis.c", "../queue.h", "not a path from the root")
        self.refused("queue/redis/redis.c", "queue/../engine/base/log.h", "not a path from the root")

    def test_a_private_header_of_another_folder_is_refused(self):
        self.refused("engine/dispatch.c", "providers/openssl/openssl.h", "private to providers/openssl")
        self.refused("providers/fake/fake.c", "providers/openssl/key.h", "private to providers/openssl")
        self.refused("providers/provider.c", "providers/openssl/key.h", "private to providers/openssl")
        self.refused("providers/provider.h", "providers/openssl/openssl.h", "private to providers/openssl")
        self.refused("engine/record.c", "engine/store/sqlite/schema.h", "private to engine/store/sqlite")
        self.refused("engine/record.c", "engine/store/internal.h", "private to engine/store")
        self.refused("tools/serve.c", "engine/status/internal.h", "private to engine/status")
        self.refused("tests/integration/serve_test.c", "queue/redis/reply.h", "private to queue/redis")

    def test_an_arrow_that_points_down_is_accepted(self):
        for path, header in (
            ("engine/base/log.c", "engine/base/log.h"),
            ("engine/x509/csr.c", "engine/base/arena.h"),
            ("queue/redis/redis.c", "queue/queue.h"),
            ("engine/store/sqlite/sqlite.c", "engine/store/store.h"),
            ("engine/dispatch.c", "providers/provider.h"),
            ("engine/status/http.c", "engine/settings/settings.h"),
            ("engine/status/http.c", "engine/revocation/shelf.h"),
            ("engine/revocation/publisher.h", "engine/issuers.h"),
            ("engine/listen.c", "engine/revocation/publisher.h"),
            ("tools/bench/command.c", "engine/settings/settings.h"),
            ("bench/load.c", "tools/command.h"),
            ("tests/integration/serve_test.c", "tools/command.h"),
        ):
            with self.subTest(path=path, header=header):
                self.accepted(path, header)

    def test_a_private_header_is_accepted_where_it_belongs(self):
        self.accepted("queue/redis/redis.c", "queue/redis/reply.h")
        self.accepted("queue/queue.c", "queue/redis/redis.h")
        self.accepted("engine/store/store.c", "engine/store/sqlite/sqlite.h")
        self.accepted("engine/store/sqlite/sqlite.c", "engine/store/internal.h")
        self.accepted("tests/unit/queue/reply_test.c", "queue/redis/reply.h")
        self.accepted("tests/fuzz/reply_fuzz.c", "queue/redis/reply.h")
        self.accepted("bench/line.c", "engine/internal.h")

    def test_every_offence_is_named(self):
        code, out = self.check(("engine/base/a.c", "queue/queue.h"), ("engine/base/b.h", "tools/command.h"))
        self.assertEqual(code, 1)
        self.assertIn("engine/base/a.c:3: ", out)
        self.assertIn("engine/base/b.h:3: ", out)
        self.assertIn("2 files, 2 offences", out)

    def test_a_tree_without_files_is_refused(self):
        code, out = self.check()
        self.assertEqual(code, 1, out)


if __name__ == "__main__":
    unittest.main()
