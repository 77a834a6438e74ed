from configs.suggest import advise, closest


def test_the_nearest_word_is_found_whatever_its_case() -> None:
    assert closest("Max_Batch_Siz", ["max_batch_size", "name"]) == "max_batch_size"


def test_where_nothing_is_near_the_known_words_are_listed() -> None:
    assert closest("zzz", ["name", "device"]) is None
    assert advise("zzz", ["name", "device"]) == "known here: device, name"
