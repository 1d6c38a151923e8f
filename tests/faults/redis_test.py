#!/usr/bin/env python3
"""Redis dies, forgets everything or comes back empty while the engine works: requests sent again are answered the same."""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import deployment


class Redis(case.Case):
    def deploy_own(self, name, count, append_only="no"):
        """A deployment with a Redis of its own, which may be killed."""
        self.server = deployment.RedisServer(deployment.scratch(), append_only)
        self.addCleanup(self.server.stop)
        return self.deploy(name, count, redis=self.server)

    def restart_redis(self):
        self.server.kill()
        time.sleep(0.2)
        self.server.start()
        self.backend.reconnect()

    def test_a_redis_that_keeps_its_log_may_be_killed_under_load(self):
        requests = self.deploy_own("log", 400, append_only="always")
        engine = self.start()
        for at in range(0, 400, 100):
            self.backend.push(requests[at:at + 100])
            time.sleep(0.03)
            self.backend.collect()
            self.restart_redis()
        self.finish(engine)

    def test_after_a_redis_without_a_log_was_killed_requests_are_sent_again(self):
        requests = self.deploy_own("volatile", 400)
        engine = self.start()
        self.backend.push_slowly(requests)
        self.backend.collect()
        self.restart_redis()
        self.backend.forget_streams()
        # The results went with it, as did the requests: the backend sends all of them again.
        self.backend.push(requests, again=True)
        evidence = self.finish(engine)
        self.assertEqual(len(evidence.store.certificates), 400)

    def test_an_engine_waits_for_a_redis_that_is_not_there_yet(self):
        requests = self.deploy_own("late", 50)
        self.server.kill()
        engine = self.start()
        time.sleep(0.3)
        self.assertTrue(engine.is_alive(), engine.text())
        self.server.start()
        self.backend.reconnect()
        self.backend.push(requests)
        self.finish(engine)

    def test_an_engine_stops_in_time_without_redis(self):
        requests = self.deploy_own("gone", 200, append_only="always")
        engine = self.start()
        self.backend.push(requests)
        time.sleep(0.02)
        self.server.kill()
        began = time.monotonic()
        code = engine.stop(20)
        self.assertEqual(code, 0, engine.text())
        self.assertLess(time.monotonic() - began, 5 * deployment.PATIENCE, engine.text())
        self.server.start()
        self.backend.reconnect()
        self.finish(self.start())

    def test_flushall_under_load_and_the_same_ids_again(self):
        requests = self.deploy_own("flush", 300)
        engine = self.start()
        for _ in range(3):
            self.backend.push(requests, again=bool(self.backend.requests))
            time.sleep(0.03)
            self.backend.collect()
            self.server.client().call("FLUSHALL")
            self.backend.forget_streams()
        self.backend.push(requests, again=True)
        evidence = self.finish(engine)
        self.assertEqual(len(evidence.store.certificates), 300)

    def test_a_stream_deleted_under_load_is_made_again(self):
        requests = self.deploy_own("delete", 200)
        engine = self.start()
        self.backend.push(requests[:100])
        self.backend.client.call("DEL", "delete:requests")
        time.sleep(0.01)  # within the same millisecond Redis would give the same entry ids once more
        self.backend.push(requests, again=True)
        self.backend.requests = requests
        self.finish(engine)

    def test_a_full_redis_delays_answers_and_loses_none(self):
        requests = self.deploy_own("full", 100)
        engine = self.start()
        self.backend.push(requests[:10])
        self.backend.wait_answered()
        engine.signal(19)
        self.backend.push(requests[10:])
        self.backend.client.call("CONFIG", "SET", "maxmemory", "1mb")
        engine.signal(18)
        time.sleep(1)
        self.assertTrue(engine.is_alive(), engine.text())
        self.assertGreater(len(self.backend.missing()), 0)
        self.backend.client.call("CONFIG", "SET", "maxmemory", "0")
        self.finish(engine)

    def test_the_chain_is_published_and_is_there_again_after_a_flush(self):
        self.deploy_own("chain", 0)
        engine = self.start()

        def published():
            return self.backend.client.call("GET", "chain:ca:issuing-1")
        deployment.wait_until(published, 5, "the chain is published")
        with open(os.path.join(self.deployment.folder, "ca", "issuing.pem"), "rb") as file:
            self.assertEqual(published(), file.read())
        self.server.client().call("FLUSHALL")
        deployment.wait_until(published, 5, "the chain is published again")
        self.stop(engine)


if __name__ == "__main__":
    case.main()
