#!/usr/bin/env python3
"""The checker is honest: it accepts a run where nothing went wrong, and finds each violation that is planted in it."""
import copy
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import chain
import checker
from backend import Request

COUNT = 40


def replaced(rows, position, column, value):
    """The rows with one value changed."""
    row = list(rows[position])
    row[column] = value
    return rows[:position] + [tuple(row)] + rows[position + 1:]


class Checker(case.Case):
    good = None

    def setUp(self):
        if Checker.good is None:
            requests = self.deploy("checker", COUNT)
            requests.append(Request("stranger", "nobody", requests[0].csr, expect="policy.device-not-allowed"))
            engine = self.start()
            self.backend.push(requests)
            Checker.good = self.finish(engine)

    def planted(self, change):
        """The names of the rules that are broken after a change of good evidence."""
        good = Checker.good
        store = copy.copy(good.store)
        parts = {"requests": list(good.requests), "publications": [dict(row) for row in good.publications],
                 "store": store}
        change(parts)
        evidence = checker.Evidence(parts["requests"], parts["publications"], store, good.authorities)
        return {text.split(":")[0] for text in checker.violations(evidence)}

    def expect(self, rule, change):
        self.assertIn(rule, self.planted(change))

    def issued(self, parts):
        return next(row for row in parts["publications"] if row["status"] == b"issued")

    def test_a_good_run_breaks_no_rule(self):
        self.assertEqual(self.planted(lambda parts: None), set())

    def test_a_missing_answer_is_found(self):
        self.expect("answered", lambda parts: parts["publications"].pop())

    def test_an_unexpected_refusal_is_found(self):
        self.expect("answered", lambda parts: self.issued(parts).update(status=b"refused", code=b"der.empty"))

    def test_a_second_answer_that_differs_is_found(self):
        self.expect("answered_once",
                    lambda parts: parts["publications"].append(dict(self.issued(parts), not_after=b"1")))

    def test_a_second_answer_that_is_the_same_is_allowed(self):
        self.assertEqual(self.planted(lambda parts: parts["publications"].append(dict(self.issued(parts)))), set())

    def test_an_answer_that_nobody_asked_for_is_found(self):
        self.expect("nobody_unasked",
                    lambda parts: parts["publications"].append(dict(self.issued(parts), id=b"unasked")))

    def test_a_published_certificate_that_is_not_recorded_is_found(self):
        def change(parts):
            parts["store"].ders = parts["store"].ders[1:]
        self.expect("published_is_recorded", change)

    def test_a_recorded_certificate_that_was_not_published_is_found(self):
        self.expect("recorded_is_published", lambda parts: parts["publications"].remove(self.issued(parts)))

    def test_two_certificates_of_one_request_are_found(self):
        def change(parts):
            parts["store"].certificates = parts["store"].certificates + [(1, bytes(12), bytes(16), 1, 2, 3, 4, 1)]
        self.expect("one_certificate_a_request", change)

    def test_a_request_that_stands_in_both_tables_is_found(self):
        def change(parts):
            parts["store"].requests = parts["store"].requests + parts["store"].requests[:1]
        self.expect("one_certificate_a_request", change)

    def test_an_abandoned_serial_that_was_used_is_found(self):
        def change(parts):
            number, tail = parts["store"].certificates[0][:2]
            parts["store"].abandoned = [(number, tail, 2, 1)]
        self.expect("serials_unique", change)

    def test_a_serial_that_stands_in_two_certificates_is_found(self):
        def change(parts):
            parts["store"].ders = replaced(parts["store"].ders, 1, 1, parts["store"].ders[0][1])
        self.expect("serials_unique", change)

    def test_a_certificate_for_another_key_is_found(self):
        def change(parts):
            parts["requests"][0] = copy.copy(parts["requests"][0])
            parts["requests"][0].csr = parts["requests"][1].csr
        self.expect("right_owner", change)

    def test_a_certificate_recorded_for_another_device_is_found(self):
        def change(parts):
            parts["store"].certificates = replaced(parts["store"].certificates, 0, 3,
                                                   parts["store"].certificates[1][3])
        self.expect("right_owner", change)

    def test_a_signature_that_does_not_verify_is_found(self):
        def change(parts):
            encoding = bytearray(parts["store"].ders[3][1])
            encoding[-1] ^= 1
            parts["store"].ders = replaced(parts["store"].ders, 3, 1, bytes(encoding))
        self.expect("signatures", change)

    def test_an_open_intent_is_found(self):
        def change(parts):
            parts["store"].intents = [(1, 1, 2, bytes(68))]
        self.expect("intents_closed", change)

    def test_an_intent_that_is_open_though_all_is_accounted_for_is_found(self):
        def change(parts):
            serial = parts["store"].certificate_serials()[0]
            parts["store"].intents = [(1, 1, 2, bytes(16) + serial + bytes(32))]
        self.expect("intents_closed", change)

    def test_a_changed_audit_row_is_found(self):
        def change(parts):
            parts["store"].audit = replaced(parts["store"].audit, 1, 3, "somebody else")
        self.expect("audit_chain", change)

    def test_a_missing_audit_row_is_found(self):
        def change(parts):
            parts["store"].audit = parts["store"].audit[:1] + parts["store"].audit[2:]
        self.expect("audit_chain", change)

    def test_an_audit_row_that_was_made_up_with_its_hash_is_found(self):
        def change(parts):
            rows = replaced(parts["store"].audit, 1, 3, "somebody else")
            parts["store"].audit = replaced(rows, 1, 7, chain.row_hash(rows[1]))
        self.expect("audit_chain", change)

    def test_a_certificate_that_the_audit_log_does_not_count_is_found(self):
        def change(parts):
            parts["store"].certificates = parts["store"].certificates[1:]
        self.expect("audit_counts", change)

    def test_a_certificate_that_was_changed_is_found_by_its_row(self):
        def change(parts):
            number, encoding = parts["store"].ders[0]
            changed = (number, encoding[:-1] + bytes([encoding[-1] ^ 1]))
            parts["store"].ders = [changed] + parts["store"].ders[1:]
        self.expect("audit_roots", change)

    def test_a_certificate_that_names_a_row_that_is_not_there_is_found(self):
        def change(parts):
            parts["store"].certificates = replaced(parts["store"].certificates, 0, 7, 4711)
        self.expect("audit_roots", change)

    def test_a_checkpoint_that_nobody_has_signed_is_found(self):
        def change(parts):
            number, row = parts["store"].audit[0][0], parts["store"].audit[0]
            parts["store"].checkpoints = [(1, number, row[7], 1, bytes(32), b"spki", "ecdsa-with-sha256", b"signature")]
        self.expect("audit_checkpoints", change)

    def test_totals_that_are_wrong_are_found(self):
        def change(parts):
            parts["store"].totals = (0, *parts["store"].totals[1:])
        self.expect("store_sound", change)

    def test_a_damaged_database_is_found(self):
        def change(parts):
            parts["store"].integrity = ["row 7 missing from index"]
        self.expect("store_sound", change)

    def test_an_abandoned_serial_that_is_not_revoked_is_found(self):
        def change(parts):
            parts["store"].abandoned = [(1 << 60, bytes(12), 2, 1)]
        self.expect("abandoned_revoked", change)

    def test_a_certificate_that_its_device_does_not_lead_to_is_found(self):
        def change(parts):
            parts["store"].listed = parts["store"].listed[1:]
        self.expect("listed_by_device", change)

    def test_every_rule_is_broken_by_some_test_here(self):
        with open(__file__, encoding="utf-8") as file:
            text = file.read()
        for rule in checker.RULES:
            self.assertIn(f'self.expect("{rule.__name__[5:]}"', text)


if __name__ == "__main__":
    case.main()
