#!/usr/bin/env python3
"""The checker is honest about revocations, too: each violation that is planted in what relying parties saw is found."""
import copy
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import checker
import deployment
import revocation_rules
from trail import Sighting, Trail
from trail_case import Orders, TrailCase

COUNT = 15


def replaced(row, column, value):
    return row[:column] + (value,) + row[column + 1:]


class TrailChecker(TrailCase):
    good = None

    def setUp(self):
        if TrailChecker.good is None:
            requests = self.begin("trail", COUNT)
            engine = self.serve()
            self.issue_all(requests)
            self.watch()
            orders = Orders(self, self.issued, per_s=20)
            orders.end()
            self.hold_for_a_while(self.issued[3])
            time.sleep(3)  # lists that were surely begun after the first answers
            self.order("revoke", serial=self.issued[-1].serial, reason="keyCompromise")
            self.control("publish")
            TrailChecker.good = self.conclude(engine)

    def hold_for_a_while(self, one):
        """Until a list has shown it."""
        self.order("quarantine", device=one.device)
        self.trail.revoked([one.serial], time.time())
        self.wait_settled()
        self.trail.taken_back([one.serial], time.time())
        self.order("reinstate", device=one.device)

    def planted(self, change):
        """The names of the rules that are broken after a change of good evidence."""
        good = TrailChecker.good
        trail, store = copy.copy(good.trail), copy.copy(good.store)
        trail.versions = [copy.deepcopy(version) for version in trail.versions]
        trail.sightings, trail.standings, trail.torn = list(trail.sightings), list(trail.standings), list(trail.torn)
        change(trail, store)
        evidence = checker.Evidence(good.requests, good.publications, store, good.authorities, trail=trail, is_settled=True)
        return {text.split(":")[0] for text in checker.violations(evidence)}

    def expect(self, rule, change):
        self.assertIn(rule, self.planted(change))

    def standing(self, trail):
        """One that holds to the end, and is long answered."""
        return next(one for one in trail.standings if one.until is None)

    def shown(self, trail, serial):
        """Complete lists."""
        return [version for version in trail.versions if not version.is_delta and serial in version.crl.entries]

    def test_a_good_run_breaks_no_rule(self):
        self.assertEqual(self.planted(lambda trail, store: None), set())

    def test_a_certificate_of_a_barred_device_that_counts_is_found(self):
        def change(_, store):
            device = next(row[3] for row in store.certificates if store.device_states[row[3]] == "allowed"
                          and (row[0].to_bytes(8, "big") + row[1]).hex() not in revocation_rules.revoked_serials(store))
            store.device_states = dict(store.device_states)
            store.device_states[device] = "quarantined"
        self.expect("barred_devices_hold_nothing", change)

    def test_totals_of_revocations_that_are_wrong_are_found(self):
        def change(_, store):
            store.revocation_totals = (store.revocation_totals[0] + 1, store.revocation_totals[1])
        self.expect("revocations_counted", change)

    def test_an_order_that_was_answered_and_is_not_in_the_store_is_found(self):
        def change(trail, store):
            serial = self.standing(trail).serial
            store.revocations = [row for row in store.revocations if row[2] != serial]
        self.expect("orders_are_recorded", change)

    def test_an_order_that_was_undone_without_an_order_is_found(self):
        def change(trail, store):
            serial = self.standing(trail).serial
            store.revocations = [replaced(row, 3, revocation_rules.REMOVED) if row[2] == serial else row
                                 for row in store.revocations]
        self.expect("orders_are_recorded", change)

    def forget(self, trail, _):
        """No complete list shows it, ever."""
        serial = self.standing(trail).serial
        for version in trail.versions:
            if not version.is_delta:
                version.crl.entries.pop(serial, None)

    def test_a_list_that_does_not_show_what_was_answered_before_is_found(self):
        self.expect("lists_show_it", self.forget)

    def test_a_delta_that_does_not_show_it_and_whose_base_does_not_is_found(self):
        def change(trail, _):
            serial = self.standing(trail).serial
            for version in trail.versions:
                version.crl.entries.pop(serial, None)
                if not version.is_delta:
                    version.this_update = 0
        self.expect("lists_show_it", change)

    def test_a_delta_that_says_it_came_off_hold_is_found(self):
        def change(trail, _):
            serial = self.standing(trail).serial
            path = self.shown(trail, serial)[-1].path
            last = [version for version in trail.versions if version.is_delta and version.complete_path == path][-1]
            last.crl.entries[serial] = "removeFromCRL"
        self.expect("lists_show_it", change)

    def test_a_part_of_a_list_is_found(self):
        trail = Trail(deployment.scratch())
        with open(os.path.join(trail.folder, "0.crl"), "wb") as file:
            file.write(TrailChecker.good.trail.versions[0].crl.data[:-1])
        trail.look()
        self.assertEqual((len(trail.versions), len(trail.torn)), (0, 1))
        self.expect("lists_whole", lambda planted, store: planted.torn.extend(trail.torn))

    def test_an_unfinished_file_that_stayed_is_found(self):
        path = os.path.join(TrailChecker.good.trail.folder, "crl", ".0.crl.unfinished")
        with open(path, "wb"):
            pass
        self.expect("lists_whole", lambda trail, store: None)
        os.unlink(path)

    def test_a_signature_that_is_wrong_is_found(self):
        def change(trail, _):
            data = trail.versions[0].crl.data
            trail.versions[0].crl.data = data[:-1] + bytes([data[-1] ^ 1])
        self.expect("lists_verify", change)

    def test_a_number_that_was_used_before_is_found(self):
        def change(trail, _):
            path = trail.versions[-1].path
            trail.versions[-1].crl.number = next(one for one in trail.versions if one.path == path).crl.number
        self.expect("numbers_grow", change)

    def test_a_list_that_comes_back_is_found(self):
        self.expect("numbers_grow", lambda trail, _: trail.versions.append(trail.versions[0]))

    def test_a_this_update_that_goes_back_is_found(self):
        def change(trail, _):
            trail.versions[-1].this_update -= 3600
        self.expect("numbers_grow", change)

    def test_a_number_that_the_store_does_not_know_is_found(self):
        def change(trail, _):
            trail.versions[-1].crl.number += 1
        self.expect("lists_are_recorded", change)

    def test_another_list_with_the_last_number_is_found(self):
        def change(_, store):
            store.crls = [replaced(row, 3, bytes(32)) for row in store.crls]
        self.expect("lists_are_recorded", change)

    def test_an_entry_that_vanishes_is_found(self):
        def change(trail, _):
            serial = self.standing(trail).serial
            last = self.shown(trail, serial)[-1]
            again = copy.deepcopy(last)
            again.crl.entries.pop(serial)
            trail.versions.append(again)
        self.expect("entries_stay", change)

    def test_an_entry_may_go_that_was_taken_back_before_the_list_read_it_whenever_that_was_begun(self):
        def change(trail, _):
            held = [one for one in trail.standings if one.until is not None][-1]
            last = self.shown(trail, held.serial)[-1]
            versions = [version for version in trail.versions if version.path == last.path]
            after = versions[versions.index(last) + 1]
            self.assertLess(held.until, after.written)
            after.this_update = int(held.until) - 1
        self.assertEqual(self.planted(change) & {"entries_stay", "lists_show_it"}, set())

    def test_an_answer_of_good_after_the_revocation_is_found(self):
        def change(trail, _):
            now = time.time()
            trail.sightings.append(Sighting(self.standing(trail).serial, now, now, "good"))
        self.expect("ocsp_never_good", change)

    def test_who_was_answered_after_it_was_taken_back_may_be_told_good(self):
        def change(trail, _):
            held = next(one for one in trail.standings if one.until is not None)
            trail.sightings.append(Sighting(held.serial, held.until - 0.001, held.until + 0.001, "good"))
        self.assertEqual(self.planted(change), set())

    def test_an_answer_of_unknown_is_found(self):
        self.expect("ocsp_never_good",
                    lambda trail, _: trail.sightings.append(Sighting(self.standing(trail).serial, 0, 0, "unknown")))

    def test_a_last_list_that_shows_less_than_the_store_is_found(self):
        self.expect("lists_in_the_end", self.forget)

    def test_a_last_list_that_shows_more_than_the_store_is_found(self):
        def change(trail, _):
            next(version for version in reversed(trail.versions) if not version.is_delta).crl.entries["77"] = "superseded"
        self.expect("lists_in_the_end", change)

    def test_every_rule_is_broken_by_some_test_here(self):
        with open(__file__, encoding="utf-8") as file:
            text = file.read()
        for rule in revocation_rules.OF_STORE + revocation_rules.OF_TRAIL:
            self.assertIn(f'self.expect("{rule.__name__[5:]}"', text)


if __name__ == "__main__":
    case.main()
