"""What transformers makes of conversations: the text of chat templates, ids and assistant masks.

python tests/goldens/make_chat.py [OUT]     # OUT: tests/goldens/chat by default, which holds the templates

Templates are those of public models with generation tags put around what the assistant writes. Texts and masks are made
with the tags; without them the text has to be the same, but for generation.jinja, whose tags need their white space.
The tokenizer is a small byte-level BPE with the special tokens of all.
"""

import json
import re
import sys
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "chat"
SPECIAL = """<s> </s> <|im_start|> <|im_end|> <|start_header_id|> <|end_header_id|> <|eot_id|>""".split(" ")
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city, today's <only>.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Zürich", "days": 2}}}
TALK = [turn("user", "Hi, who are you? "), turn("assistant", "I am a cat.\nMeow 😀!")]
CONVERSATIONS = {
    "one": {"messages": TALK},
    "two": {"messages": TALK + [turn("user", "And 日本語?"), turn("assistant", " No. ")]},
    "system": {"messages": [turn("system", "Be brief."), *TALK, turn("user", "é\n\n")]},
    "thinking": {"messages": [TALK[0], turn("assistant", "<think>\nHm.\n</think>\n\nA cat.")]},
    "tools": {
        "messages": [
            turn("user", "Weather?"),
            turn("assistant", "", tool_calls=[CALL]),
            turn("tool", "rain"),
            turn("assistant", "It rains."),
        ],
        "tools": [WEATHER],
    },
}
TEMPLATES = {
    "llama3": ["one", "two", "system", "tools"],
    "qwen2": ["one", "two", "system", "tools"],
    "qwen3": ["one", "two", "system", "thinking"],
    "mistral": ["one", "two", "system"],
    "zephyr": ["one", "two", "system"],
    "smollm2": ["one", "two", "system"],
    "generation": ["one", "two", "system"],
}


def make_tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([json.dumps(CONVERSATIONS, ensure_ascii=False)] * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def answers(tokenizer, template, conversation):
    options = {"chat_template": template, "tools": conversation.get("tools"), "date_string": "26 Jul 2024"}
    messages = conversation["messages"]
    encoded = tokenizer.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True, **options
    )
    text, prompted = (
        tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt, **options)
        for prompt in [False, True]
    )
    return {
        "text": text,
        "prompted": prompted,
        "ids": encoded["input_ids"],
        "mask": "".join(map(str, encoded["assistant_masks"])),
    }


def main():
    tokenizer = make_tokenizer()
    tokenizer.backend_tokenizer.save(str(OUT / "tokenizer.json"))
    special = {"bos_token": "<s>", "eos_token": {"content": "</s>", "special": True}}
    (OUT / "tokenizer_config.json").write_text(json.dumps(special) + "\n")
    expected = {}
    for name, conversations in TEMPLATES.items():
        template = (OUT / f"{name}.jinja").read_text()
        plain = re.sub(r"{% (end)?generation %}", "", template)
        for conversation in conversations:
            answer = answers(tokenizer, template, CONVERSATIONS[conversation])
            if name != "generation":
                without = answers(tokenizer, plain, CONVERSATIONS[conversation])
                assert {**without, "mask": ""} == {**answer, "mask": ""}, (name, conversation)
            expected[f"{name}/{conversation}"] = {**CONVERSATIONS[conversation], **answer}
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


main()
