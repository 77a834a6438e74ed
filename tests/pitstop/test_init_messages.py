"""What `pitstop init` refuses is said with what to type instead, and what it shows next can be typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from models.errors import ModelError
from models.startup.prepare import freeze_in_eval
from pitstop.init import texts, told, write
from pitstop.init.arguments import with_lists
from pitstop.init.draft import Draft
from pitstop.init.find import as_said
from pitstop.init.infer import infer
from pitstop.init.main import refuse
from pitstop.init.options import InitOptions
from pitstop.init.subject import subject_of
from tests.pitstop import init_networks as networks


class Batched(nn.Module):
    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return batch["x"]


def test_a_text_that_may_be_a_list_is_shown_as_one() -> None:
    said = with_lists("a:B: raised\nhelp: check it", ["heads=click, buy", "n=3"])
    assert said.splitlines()[1:] == [
        "help: check it",
        """      heads is one text; if it is a list, write --arg 'heads=["click","buy"]'""",
    ]
    assert with_lists("no", ["n=3", "heads=[1, 2]"]) == "no"


def test_inputs_that_are_missing_are_listed() -> None:
    with pytest.raises(
        ModelError, match=r"--input names right, .* takes left, right\nhelp: .* add --input left:FP32"
    ) as e:
        as_said(["right:FP32:-1,6"], ["left", "right"], networks.Two())
    assert "--input right:" not in str(e.value)


def test_inputs_that_do_not_run_are_not_given_back_as_help() -> None:
    with pytest.raises(ModelError, match=r"does not run with features FP32 \[-1, 3\]: ") as e:
        as_said(["features:FP32:-1,3"], ["features"], networks.Mlp())
    assert "--input features" not in str(e.value)


def test_lazy_layers_are_said_to_have_no_size() -> None:
    with pytest.raises(ModelError, match=r"the network's layer\.weight has no size yet: its layer is lazy\nhelp: give"):
        freeze_in_eval(networks.Lazy())
    ran = networks.Lazy()
    ran(torch.zeros(1, 3))
    assert not any(each.requires_grad for each in freeze_in_eval(ran).parameters())


def test_what_a_network_that_fails_has_printed_is_shown(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("def make():\n    print('printed by it')\n    raise KeyError('rate')\n")
    command = [sys.executable, "-m", "pitstop", "init", "net.py:make", "--input", "x:FP32:-1,3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "printed by it" in done.stdout


def test_a_forward_of_a_dict_is_said_to_need_a_wrapper() -> None:
    with pytest.raises(ModelError, match="forward takes a dict, as batch"):
        infer(Batched())


def test_a_tokenizer_with_more_tokens_than_the_embedding_has_rows_is_refused_with_both_numbers(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    for tokens in (51, 50):
        vocabulary = {f"w{each}": each for each in range(tokens)}
        path.write_text(json.dumps({"model": {"vocab": vocabulary}, "added_tokens": [{"content": "w0", "id": 0}]}))
        args = {"name": "words"}
        if tokens == 50:
            assert texts.variants(str(tmp_path), [], tmp_path, args, networks.Words())
            continue
        with pytest.raises(ModelError, match="has 51 tokens, and the network's embedding has 50 rows"):
            texts.variants(str(tmp_path), [], tmp_path, args, networks.Words())


@pytest.mark.parametrize(
    "sizes, line",
    [
        ((1, 8, 8), "python m/client.py # asks it with numbers drawn at random"),
        ((3,), """curl localhost:8000/v2/models/m/predict -d '{"instances": [[1, 1, 1]]}'"""),
    ],
)
def test_what_is_shown_next_asks_the_model(
    sizes: tuple[int, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    draft = Draft("m", ({},), "tensors", "y", sizes=(("x", "UINT8", sizes, 255.0),))
    told.show_next(draft, Path("m/serve.yaml"), Path("m"), [], InitOptions("a:B"), Console(soft_wrap=True))
    printed = capsys.readouterr().out
    assert line in printed
    assert "what it takes and gives" not in printed


@pytest.mark.parametrize(
    "arguments, said", [([], "usage: python "), (["no.jpg"], "no.jpg: no such file")], ids=["nothing", "no file"]
)
def test_a_written_client_says_what_it_lacks(arguments: list[str], said: str, tmp_path: Path) -> None:
    client = tmp_path / "client.py"
    client.write_text(write.client(Draft("m", ({},), "picture", "y")))
    found = subprocess.run([sys.executable, client, *arguments], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr.count("\n")) == (1, 1)
    assert found.stderr.startswith(said)


def test_a_pickle_is_told_from_weights_without_running_it(tmp_path: Path) -> None:
    path = tmp_path / "pickled.pth"
    torch.save(networks.Mlp(), path)
    with pytest.raises(ModelError, match=r"pickled object.*\n.*\n +pitstop export .*pickled.pth -o .*--trust-pickle"):
        subject_of(InitOptions(str(path)))
    torch.save(networks.Mlp().state_dict(), path)
    with pytest.raises(ModelError, match="weights alone have no network"):
        subject_of(InitOptions(str(path)))


def test_another_model_s_folder_is_not_said_to_be_overwritten(tmp_path: Path) -> None:
    client = tmp_path / write.CLIENT
    client.write_text(write.client(Draft("other", ({},), "picture", "y")))
    with pytest.raises(ModelError, match="is of the model 'other'\nhelp: name a new folder with --out") as e:
        refuse(InitOptions("a:B", name="mine", config=Path("serve.yaml")), [client])
    assert "--force" not in str(e.value)
    with pytest.raises(ModelError, match="--force"):
        refuse(InitOptions("a:B", name="other"), [client])
