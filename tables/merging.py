"""The 206 rhymes of the Guangyun merged into the groups of later books.

平水韵: 106 groups, 15 + 15 level, 29 rising, 30 departing, 17 entering. 词林正韵 (戈載, 1821): 19 parts, the first 14
of level, rising and departing rhymes, the last 5 of entering ones. A rhyme of DIVIDED bears its lips: 泰開 泰合 泰脣.
"""

# group, tone, rhymes
PINGSHUI_ROWS = """
东 平 東
冬 平 冬 鍾
江 平 江
支 平 支 脂 之
微 平 微
鱼 平 魚
虞 平 虞 模
齐 平 齊
佳 平 佳 皆
灰 平 灰 咍
真 平 真 諄 臻
文 平 文 欣
元 平 元 魂 痕
寒 平 寒 桓
删 平 刪 山
先 平 先 仙
萧 平 蕭 宵
肴 平 肴
豪 平 豪
歌 平 歌 戈
麻 平 麻
阳 平 陽 唐
庚 平 庚 耕 清
青 平 青
蒸 平 蒸 登
尤 平 尤 侯 幽
侵 平 侵
覃 平 覃 談
盐 平 鹽 添 嚴
咸 平 咸 銜 凡
董 上 董
肿 上 腫
讲 上 講
纸 上 紙 旨 止
尾 上 尾
语 上 語
麌 上 麌 姥
荠 上 薺
蟹 上 蟹 駭
贿 上 賄 海
轸 上 軫 準
吻 上 吻 隱
阮 上 阮 混 很
旱 上 旱 緩
潸 上 潸 產
铣 上 銑 獮
筱 上 篠 小
巧 上 巧
皓 上 晧
哿 上 哿 果
马 上 馬
养 上 養 蕩
梗 上 梗 耿 靜
迥 上 迥 拯 等
有 上 有 厚 黝
寝 上 寑
感 上 感 敢
俭 上 琰 忝 儼
豏 上 豏 檻 范
送 去 送
宋 去 宋 用
绛 去 絳
寘 去 寘 至 志
未 去 未
御 去 御
遇 去 遇 暮
霁 去 霽 祭
泰 去 泰
卦 去 卦 怪 夬
队 去 隊 代 廢
震 去 震 稕
问 去 問 焮
愿 去 願 慁 恨
翰 去 翰 換
谏 去 諫 襇
霰 去 霰 線
啸 去 嘯 笑
效 去 效
号 去 号
个 去 箇 過
祃 去 禡
漾 去 漾 宕
敬 去 映 諍 勁
径 去 徑 證 嶝
宥 去 宥 候 幼
沁 去 沁
勘 去 勘 闞
艳 去 豔 㮇 釅
陷 去 陷 鑑 梵
屋 入 屋
沃 入 沃 燭
觉 入 覺
质 入 質 術 櫛
物 入 物 迄
月 入 月 沒
曷 入 曷 末
黠 入 黠 鎋
屑 入 屑 薛
药 入 藥 鐸
陌 入 陌 麥 昔
锡 入 錫
职 入 職 德
缉 入 緝
合 入 合 盍
叶 入 葉 怗
洽 入 洽 狎 業 乏
"""
PINGSHUI = [tuple(row.split()) for row in PINGSHUI_ROWS.strip().splitlines()]

# part, tone, rhymes; a divided rhyme follows its lips. later.tsv may name a part and a tone itself, such as 第五部去,
# for what its Guangyun rhyme does not tell.
CILIN_ROWS = """
第一部 平 東 冬 鍾
第一部 上 董 腫
第一部 去 送 宋 用
第二部 平 江 陽 唐
第二部 上 講 養 蕩
第二部 去 絳 漾 宕
第三部 平 支 脂 之 微 齊 灰
第三部 上 紙 旨 止 尾 薺 賄
第三部 去 寘 至 志 未 霽 祭 泰合 泰脣 隊 廢
第四部 平 魚 虞 模
第四部 上 語 麌 姥
第四部 去 御 遇 暮
第五部 平 佳開 佳脣 皆 咍
第五部 上 蟹 駭 海
第五部 去 泰開 卦開 卦脣 怪 夬 代
第六部 平 真 諄 臻 文 欣 魂 痕
第六部 上 軫 準 吻 隱 混 很
第六部 去 震 稕 問 焮 慁 恨
第七部 平 元 寒 桓 刪 山 先 仙
第七部 上 阮 旱 緩 潸 產 銑 獮
第七部 去 願 翰 換 諫 襇 霰 線
第八部 平 蕭 宵 肴 豪
第八部 上 篠 小 巧 晧
第八部 去 嘯 笑 效 号
第九部 平 歌 戈
第九部 上 哿 果
第九部 去 箇 過
第十部 平 佳合 麻
第十部 上 馬
第十部 去 卦合 禡
第十一部 平 庚 耕 清 青 蒸 登
第十一部 上 梗 耿 靜 迥 拯 等
第十一部 去 映 諍 勁 徑 證 嶝
第十二部 平 尤 侯 幽
第十二部 上 有 厚 黝
第十二部 去 宥 候 幼
第十三部 平 侵
第十三部 上 寑
第十三部 去 沁
第十四部 平 覃 談 鹽 添 嚴 咸 銜 凡
第十四部 上 感 敢 琰 忝 儼 豏 檻 范
第十四部 去 勘 闞 豔 㮇 釅 陷 鑑 梵
第十五部 入 屋 沃 燭
第十六部 入 覺 藥 鐸
第十七部 入 質 術 櫛 陌 麥 昔 錫 職 德 緝
第十八部 入 物 迄 月 沒 曷 末 黠 鎋 屑 薛 葉 怗
第十九部 入 合 盍 業 洽 狎 乏
"""
CILIN = [tuple(row.split()) for row in CILIN_ROWS.strip().splitlines()]


# Level, rising and departing rhymes that differ in nothing but the tone; · where there is none.
SERIES_ROWS = """
東董送 冬·宋 鍾腫用 江講絳 支紙寘 脂旨至 之止志 微尾未 魚語御 虞麌遇 模姥暮 齊薺霽 齊薺祭 咍海泰
佳蟹卦 皆駭怪 皆駭夬 灰賄隊 咍海代 微尾廢 真軫震 諄準稕 臻·· 文吻問 欣隱焮 元阮願 魂混慁 痕很恨
寒旱翰 桓緩換 刪潸諫 山產襇 先銑霰 仙獮線 蕭篠嘯 宵小笑 肴巧效 豪晧号 歌哿箇 戈果過 麻馬禡 陽養漾
唐蕩宕 庚梗映 耕耿諍 清靜勁 青迥徑 蒸拯證 登等嶝 尤有宥 侯厚候 幽黝幼 侵寑沁 覃感勘 談敢闞 鹽琰豔
添忝㮇 嚴儼釅 咸豏陷 銜檻鑑 凡范梵
"""
SERIES = SERIES_ROWS.split()


def in_tone(rhyme: str, tone: str) -> set[str]:
    """The rhymes that are a rhyme of the 206 in another tone, 平 上 or 去; none for an entering rhyme.

    >>> in_tone("送", "平")
    {'東'}
    """
    found = {series["平上去".index(tone)] for series in SERIES if rhyme[0] in series}
    return {other + rhyme[1:] if other in "佳卦泰" and rhyme[1:] else other for other in found} - {"·"}


def grouped(rhymes: dict[str, set[str]], book: list[tuple[str, ...]]) -> dict[tuple[str, str], set[str]]:
    """(group, tone) to characters, in the order of the book. Rhymes such as 第十部去 are of that book alone."""
    place = {rhyme: (group, tone) for group, tone, *names in book for rhyme in names}
    place |= {f"{group}{tone}": (group, tone) for group, tone, *_ in book}
    rows: dict[tuple[str, str], set[str]] = {(group, tone): set() for group, tone, *_ in book}
    for character, own in rhymes.items():
        for rhyme in own:
            here = place.get(rhyme) or place.get(rhyme[0])
            if (
                here is None and len(rhyme) <= 2 and rhyme[0] in "佳卦泰"
            ):  # not divided, by hand: as if the lips were open
                here = place[rhyme[0] + "開"]
            if here is None and len(rhyme) < 3:
                raise ValueError(f"{character}: {rhyme} is no rhyme of this book")
            if here is not None:
                rows[here].add(character)
    return rows
