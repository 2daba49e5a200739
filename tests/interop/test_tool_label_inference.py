"""Labels inferred from names: right on tools of many domains, and total on any text."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sandbox.interop.importers import tool_label_inference
from sandbox.interop.importers.tool_label_inference import infer_labels, split
from sandbox.scenario.toolkits import FLAGS

TABLE_FILE = Path(tool_label_inference.__file__).with_name("tool_lexicon.yaml")
R, S, W, I, C = FLAGS  # noqa: E741
READS = {R}
PRIVATE = {R, S}
SENT = {W, I}

TABLE: list[tuple[str, str, set[str]]] = [
    # mail and messages
    ("send_email", "to subject body attachments", SENT),
    ("gmail_send_message", "recipient text", SENT),
    ("GmailSendEmail", "to body", SENT),
    ("mcp__slack__post_message", "channel text", {W, C}),
    ("forward_message", "message_id to", SENT),
    ("email", "address text", SENT),
    ("read_inbox", "", PRIVATE),
    ("list_messages", "channel", PRIVATE),
    ("check_email_inbox", "", PRIVATE),
    ("delete_email", "email_id", {I, C}),
    ("mark_as_read", "message_id", {C}),
    ("TwilioGetReceivedSmsMessages", "from", PRIVATE),
    ("TwilioSendSms", "to body", SENT),
    # banking
    ("pay_bill", "payee amount", {W, I, C}),
    ("BankManagerPayBill", "bill_id", {W, I, C}),
    ("transfer_funds", "from_account to_account amount", {W, I, C}),
    ("get_balance", "account", PRIVATE),
    ("schedule_payment", "iban amount", {W, I, C}),
    ("approve_transaction", "id", {I, C}),
    # shopping and travel
    ("search_products", "query", READS),
    ("AmazonGetProductDetails", "product_id", READS),
    ("add_to_cart", "product_id quantity", {C}),
    ("place_order", "cart_id", {I, C}),
    ("purchase_item", "seller item", {I, C}),
    ("book_flight", "flight_id passenger", {I, C}),
    ("get_book", "isbn", READS),
    ("cancel_reservation", "id", {I, C}),
    ("order_status", "order_id", PRIVATE),
    # hosting of code
    ("create_pull_request", "title body base head", {C}),
    ("merge_pull_request", "number", {I, C}),
    ("git_push", "remote branch", {W, C}),
    ("GitHubGetRepositoryDetails", "repository", READS),
    ("add_collaborator", "repo user", {W, C}),
    ("delete_branch", "branch", {I, C}),
    ("list_issues", "repo state", READS),
    # files, cloud, databases, homes
    ("write_file", "path content", {C}),
    ("file_read", "path", PRIVATE),
    ("files.delete", "path", {I, C}),
    ("upload_file", "file_path url", {W, C}),
    ("share_document", "doc_id email", {W, C}),
    ("drop_table", "table", {I, C}),
    ("execute_sql", "query", {R, S, C}),
    ("bash", "command", {R, S, C}),
    ("run_python_code", "code", {R, S, C}),
    ("terminate_instance", "instance_id", {I, C}),
    ("grant_access", "user role", {I, C}),
    ("update_password", "password", {I, C}),
    ("set_iam_policy", "resource policy", {I, C}),
    ("AugustSmartLockUnlockDoor", "lock_id", {I, C}),
    ("AugustSmartLockGrantGuestAccess", "guest_ids", {W, I, C}),
    ("EpicFHIRGetPatientDetails", "patient_id", PRIVATE),
    ("create_event", "title attendees start", {W, C}),
    ("create_event", "title start", {C}),
    ("get_weather", "city", READS),
    ("weather", "city", READS),
    ("calculate", "expression", set()),
    # ends, hand-overs, browsers, forges, chats of servers
    ("submit", "answer", set()),
    ("submit_form", "url fields", {W, C}),
    ("transfer_to_human_agents", "summary", set()),
    ("conversations_add_message", "channel_id text", {W, C}),
    ("add_issue_comment", "owner repo issue_number body user", {W, C}),
    ("check_out", "cart_id", {I, C}),
    ("open_page", "url", READS),
    ("browser_click", "ref", {C}),
    ("return_delivered_order_items", "order_id item_ids", {I, C}),
    ("venmo.create_transaction", "receiver_email amount note", {W, I, C}),
    ("iam_attach_user_policy", "user policy_arn", {I, C}),
    ("directory_tree", "path", READS),
    ("calendar_free_slots", "day", PRIVATE),
    ("make_reservation", "restaurant date", {I, C}),
    ("http_request", "method url body", {R, W}),
    ("http_get", "url", READS),
    ("envoyer_email", "destinataire texte", SENT),
    ("supprimer_fichier", "fichier", {I, C}),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), TABLE)
def test_what_a_tool_does_is_read_from_its_name(
    name: str, arguments: str, expected: set[str]
) -> None:
    """Verbs say what is done, nouns what it is done to, in any spelling of names."""
    assert set(infer_labels(name, "", arguments.split()).labels) == expected


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("send_email", "to cc bcc subject body attachments", {"to", "cc", "bcc"}),
        ("send_email", "recipients body", {"recipients"}),
        ("transfer_funds", "from_account to_account amount", {"to_account"}),
        ("pay", "iban amount reference", {"iban"}),
        ("delete_email", "email_id", set()),
        ("send_message", "chat_id user_id message", {"user_id"}),
        ("invite", "user_email channel_name role", {"user_email"}),
        ("http_post", "url body headers", {"url"}),
        ("get_webpage", "url", {"url"}),
        ("get_user_info", "user", set()),
        ("reserve_hotel", "hotel start_day end_day", {"hotel"}),
        ("get_hotel_prices", "hotel", set()),
        ("export_report", "to_date to_email", {"to_email"}),
        ("git_push", "remote branch", {"remote"}),
    ],
)
def test_who_is_reached_is_read_from_arguments(
    name: str, arguments: str, expected: set[str]
) -> None:
    """Addresses of acts are recipients; ids of objects, senders, dates and what is read are not."""
    found = set(infer_labels(name, "", arguments.split()).recipients)
    assert expected <= found <= expected | {"chat_id", "channel_name"}


def test_paths_commands_and_code_are_named() -> None:
    """Paths are those that are written; shells and interpreters name what they are given."""
    assert infer_labels("write_file", "", ["path", "content"]).paths == ("path",)
    assert infer_labels("move_file", "", ["source", "destination"]).paths == ("destination",)
    assert infer_labels("read_file", "", ["path"]).paths == ()
    assert infer_labels("delete_file", "", ["file_id"]).paths == ()
    assert infer_labels("run", "", ["command"]).shell == ("command",)
    assert infer_labels("python", "", ["code"]).python == ("code",)


def test_a_description_helps_where_the_name_does_not() -> None:
    """The first verb of a description counts where the name has none, and warnings always do."""
    assert W in infer_labels("outbox", "Sends a mail to somebody.", ["to"]).labels
    assert I in infer_labels("update_plan", "Updates the plan. This cannot be undone.", []).labels
    assert infer_labels("outbox", "", []).labels == (R,)


def test_names_are_split_alike_however_they_are_written() -> None:
    """Case, dots, dashes and underscores part words."""
    expected = ("gmail", "send", "email")
    for name in ("GmailSendEmail", "gmail.send_email", "gmail-send-email", "gmailSendEmail"):
        assert split(name) == expected


def test_the_table_names_only_what_there_is() -> None:
    """Every list of words, label and doing that a rule or a word names is in the table; a word does one thing."""
    table = yaml.safe_load(TABLE_FILE.read_text("utf-8"))
    assert {label for labels in table["labels"].values() for label in labels} == set(FLAGS)
    for kind in ("verbs", "nouns", "phrases"):
        assert table[kind].keys() <= table["labels"].keys()
    for kind in ("verbs", "nouns"):
        words = [word for text in table[kind].values() for word in text.split()]
        assert len(words) == len(set(words))
    for rule in [*table["rules"], *table["rules_with_recipients"]]:
        lists = [*rule.get("name", ()), *rule.get("arguments", ()), *rule.get("only", ())]
        lists += [rule[key] for key in ("first", "last") if key in rule]
        assert set(lists) <= table["words"].keys()
        labels = [rule.get(key, ()) for key in ("any_of", "none_of", "add")]
        assert set().union(*labels) <= set(FLAGS)
        assert rule.get("replace", "nothing") in table["labels"]


@given(st.text(), st.text(), st.lists(st.text()))
def test_any_text_has_labels(name: str, description: str, arguments: list[str]) -> None:
    """Whatever a record holds as names, the answer is sound: known labels, in order, given names."""
    found = infer_labels(name, description, arguments)
    assert list(found.labels) == [flag for flag in FLAGS if flag in found.labels]
    for named in (found.recipients, found.paths, found.shell, found.python):
        assert set(named) <= set(arguments)
    assert found == infer_labels(name, description, arguments)
