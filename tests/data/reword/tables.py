"""Tables on several subjects, for what must hold of any table; each is made ready once."""

import csv
from functools import lru_cache
from pathlib import Path

from znatok.data.reword import Reworder
from znatok.records import Row
from znatok.settings import REWORDING_FAMILIES

ROOT = Path(__file__).parents[3]


def rows_of(name):
    with (ROOT / name).open(encoding="utf-8", newline="") as file:
        return [Row(number, row["question"], row["answer"]) for number, row in enumerate(csv.DictReader(file), 1)]


def _rows(text):
    pairs = [line.split(" | ") for line in text.strip().splitlines()]
    return [Row(number, question, answer) for number, (question, answer) in enumerate(pairs, 1)]


COOKING = _rows("""
Что такое бланширование? | Бланширование — это короткая варка, после которой продукт сразу кладут в ледяную воду. Им снимают кожицу с помидоров и сохраняют цвет овощей.
Сколько варить яйца вкрутую? | Яйца вкрутую варят 9 минут с момента закипания, потом их опускают в холодную воду.
Почему пригорает молочная каша? | Молочная каша пригорает, когда огонь слишком сильный и её не мешают. Возьмите кастрюлю с толстым дном и варите на слабом огне.
Чем отличается сода от разрыхлителя? | Сода гасится кислотой, которая должна быть в тесте, а разрыхлитель уже содержит сухую кислоту и работает сам.
Как заварить зелёный чай? | Зелёный чай заливают водой 80 градусов и держат не дольше трёх минут, иначе он горчит.
Можно ли замораживать творог? | Творог можно замораживать на два месяца, но после оттаивания он становится крошливым и годится для выпечки.
Что делать, если суп пересолен? | В пересоленный суп добавляют воды или кладут сырую картошку в крупных кусках, а через десять минут её вынимают.
Зачем тесту нужна расстойка? | Расстойка даёт дрожжам время наполнить тесто газом, поэтому хлеб выходит пышным.
Что будет, если перестоять опару? | Опара перекиснет и осядет: тесто не поднимется и будет пахнуть брагой.
Что такое сотейник? | Сотейник — это глубокая сковорода с прямыми стенками, в которой удобно тушить. Он шире кастрюли и ниже её.
""")  # noqa: E501
HISTORY = _rows("""
Кто такой Пётр Первый? | Пётр Первый — это русский царь, который основал Санкт-Петербург и создал флот. Он правил с 1682 года.
Когда отменили крепостное право в России? | Крепостное право в России отменили 19 февраля 1861 года манифестом Александра II.
Что такое опричнина? | Опричнина — это политика Ивана Грозного, при которой часть земель управлялась особым двором царя с 1565 года.
Почему началась Смута? | Смута началась, потому что пресеклась династия Рюриковичей и страну ослабил голод 1601 года.
Чем вече отличалось от боярской думы? | Вече было собранием всех свободных горожан, а боярская дума — советом знати при князе.
Где произошло Ледовое побоище? | Ледовое побоище произошло на льду Чудского озера 5 апреля 1242 года.
Какую роль играл Великий Новгород? | Великий Новгород связывал Русь с ганзейскими городами и торговал пушниной и воском.
Как был устроен приказ? | Приказ состоял из судьи и дьяков, которые вели дела по одной отрасли.
""")  # noqa: E501
AQUARIUM = _rows("""
Зачем аквариуму нужен фильтр? | Фильтр убирает из воды грязь и даёт место бактериям, которые перерабатывают аммиак.
Как часто менять воду в аквариуме? | Воду меняют раз в неделю, около четверти объёма.
Почему мутнеет вода в аквариуме? | Вода мутнеет от вспышки бактерий в первые дни или от лишнего корма.
Какая температура нужна гуппи? | Гуппи нужна температура от 22 до 26 градусов.
Что такое азотный цикл? | Азотный цикл — это превращение аммиака сначала в нитриты, а потом в нитраты, которое совершают бактерии.
Можно ли держать петушка с гуппи? | Петушка с гуппи держать не стоит: он принимает их хвосты за соперника и рвёт плавники.
Что делать с чёрными водорослями? | Чёрные водоросли убирают, сокращая свет до шести часов и удаляя поражённые листья.
Как правильно промывать губку фильтра? | Губку фильтра промывают в старой аквариумной воде, чтобы не погубить бактерии хлором.
""")  # noqa: E501
LAW = _rows("""
Что такое доверенность? | Доверенность — это письменное полномочие, которое одно лицо выдаёт другому для представительства перед третьими лицами.
На сколько дней продлевается отпуск при болезни? | Отпуск продлевается на число календарных дней, указанных в больничном листе.
Имеет ли работник право отказаться от сверхурочной работы? | Работник имеет право отказаться, если сверхурочная работа не введена из-за аварии.
Нужно ли нотариально заверять договор аренды? | Договор аренды квартиры заверять у нотариуса не нужно, но при сроке от года его регистрируют.
Что означает исковая давность? | Исковая давность — это срок для защиты права по иску, обычно три года.
Чем отличается договор подряда от трудового договора? | По договору подряда оплачивают результат, а по трудовому договору платят зарплату за работу по графику.
""")  # noqa: E501
ENGLISH = _rows("""
What is a transistor? | A transistor is a semiconductor device that amplifies weak signals. It has three legs and is used in radios.
How does a compost heap work? | A compost heap works because bacteria eat the waste and warm it to 60 °C.
Why do leaves turn yellow in autumn? | Leaves turn yellow because the tree takes back the green chlorophyll.
How do I repot an orchid? | Repot an orchid in spring: take a pot one size larger and fresh bark.
What is the difference between jam and jelly? | Jam keeps pieces of fruit, while jelly is made from strained juice.
Can I freeze milk? | Milk can be frozen for three months, but shake it after thawing.
What happens if I overwater a cactus? | The roots rot and the cactus turns soft at its base.
How much salt does a loaf need? | A loaf of 500 g of flour needs 10 g of salt.
Where is cork used? | Cork is used in bottles, floors and shoes.
What is a mortise gauge used for? | A mortise gauge marks two parallel lines at once.
Who was Ada Lovelace? | Ada Lovelace was a mathematician who wrote the first program for a machine.
When was the telephone invented? | The telephone was invented in 1876 by Alexander Graham Bell.
What should I do if my bread does not rise? | Put the dough in a warmer place and wait another hour.
What does CPU stand for? | CPU stands for central processing unit, the part that runs programs.
""")  # noqa: E501
OTHER = _rows("""
Was ist ein Widerstand? | Ein Widerstand ist ein Bauteil, das den Strom begrenzt. Er wird warm.
Wie lange kocht ein Ei? | Ein weiches Ei kocht vier Minuten, ein hartes zehn.
Резистор дегеніміз не? | Резистор — токты шектейтін бөлшек.
抵抗器とは何ですか？ | 抵抗器は電流を制限する部品です。電圧も分けます。
ما هو المقاوم؟ | المقاوم هو عنصر يحد من التيار.
""")
DATASET = rows_of("dataset.csv")
TABLES = {
    "dataset": DATASET,
    "cooking": COOKING,
    "history": HISTORY,
    "aquarium": AQUARIUM,
    "law": LAW,
    "english": ENGLISH,
    "other": OTHER,
}


@lru_cache
def reworder(name, mix=REWORDING_FAMILIES):
    return Reworder(TABLES[name], mix)
