"""What transformers makes of conversations with the chat templates of a folder.

python render_templates.py FOLDER CONVERSATIONS.json OUT.json

CONVERSATIONS.json: {name: {"messages": [...], "tools": [...] or null}}. OUT.json: {template: {conversation: null, where it
is refused, or {"text": ..., "prompted": ..., "generations": [[start, end], ...] in characters}}}.
"""

import json
import sys
from datetime import datetime
from pathlib import Path

from transformers.utils import chat_template_utils

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


class FixedDate(datetime):
    """The day that strftime_now tells here."""

    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


def without_nulls(message):
    """Fields that are null are left out, as apply_chat_template leaves them out, but for the content."""
    return {key: value for key, value in message.items() if value is not None or key == "content"}


def rendered(template, conversation, prompt, mask):
    texts, generations = chat_template_utils.render_jinja_template(
        [[without_nulls(message) for message in conversation["messages"]]],
        tools=conversation.get("tools"),
        chat_template=template,
        add_generation_prompt=prompt,
        return_assistant_tokens_mask=mask,
        **SPECIAL,
    )
    return texts[0], generations[0] if generations else []


def answer(template, conversation):
    try:
        text, generations = rendered(template, conversation, False, True)
        return {"text": text, "prompted": rendered(template, conversation, True, False)[0], "generations": generations}
    except Exception:
        return None


def main():
    folder, conversations_path, out = sys.argv[1:]
    chat_template_utils.datetime = FixedDate
    conversations = json.loads(Path(conversations_path).read_text())
    answers = {}
    for path in sorted(Path(folder).rglob("*.jinja")):
        template = path.read_bytes().decode()
        answers[str(path.relative_to(folder))] = {name: answer(template, talk) for name, talk in conversations.items()}
    Path(out).write_text(json.dumps(answers))


main()
