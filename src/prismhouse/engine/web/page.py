"""HTML becomes a page: its own text without menus and footers, code, pictures, links, and what its author forbids."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prismhouse.engine.inference.errors import ExtraMissing
from prismhouse.engine.media.text import storable
from prismhouse.engine.web.address import is_asset, joined
from prismhouse.engine.web.found import Asset, Code, Shown, WebFault
from prismhouse.engine.web.nesting import check_nesting
from prismhouse.engine.web.writing import Writing

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["Link", "Parsed", "parse"]

_MOST_LINKS = 10_000
_MOST_NODES = 1_000_000
_TITLE_CHARS = 500
_LABEL_CHARS = 300
_SMALL_SIDE = 32
_LEAST_CHARS = 200
_LEAST_SHARE = 0.3

_SILENT_NAMES = (
    "script style noscript template svg math iframe object embed canvas audio video head button select datalist"
    " textarea input dialog map"
)
_SILENT = frozenset(_SILENT_NAMES.split())
_APART_NAMES = "p pre table ul ol dl blockquote figure h1 h2 h3 h4 h5 h6"
_APART = frozenset(_APART_NAMES.split())
_AROUND = frozenset({"nav", "footer", "header", "aside"})
_ROLES = frozenset({"navigation", "banner", "contentinfo", "search", "complementary", "dialog", "alertdialog"})
_AROUND_NAMES = re.compile(
    r"(?:^|\s)(?:sphinxsidebar|related|sidebar\S*|side-bar|toctree-wrapper|breadcrumbs?|nav|navbar\S*|navigation|menu"
    r"|site-header|site-footer|footer|page-footer|skip-link|cookie-\S+|consent\S*|headerlink|wy-nav-side|rst-versions"
    r"|md-sidebar|md-header|md-footer|bd-sidebar\S*|share|social\S*|advert\S*|ads)(?:\s|$)",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_LANGUAGE = re.compile(r"(?:^|\s)(?:lang(?:uage)?-|highlight-(?:source-)?|brush:\s*)([A-Za-z0-9+#._-]{1,30})")
_NO_LANGUAGE = frozenset({"default", "none", "text", "plaintext", "notranslate"})
_REFRESH = re.compile(r"^\s*\d*[.\d]*\s*[;,]\s*(?:url\s*=)?\s*[\"']?\s*([^\"'\s>]+)", re.IGNORECASE)
_BLOCKS_NAMES = (
    "address article blockquote body center dd details dialog div dl dt fieldset figcaption figure footer form h1 h2 h3"
    " h4 h5 h6 header hr li main nav ol p pre section summary table tbody thead tfoot tr ul caption legend"
)
_BLOCKS = frozenset(_BLOCKS_NAMES.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An address that a page names, and the text of the link."""

    url: str
    text: str = ""


@dataclass(slots=True, kw_only=True)
class Parsed:
    """What was read. `canonical` is where the author says that the page really stands; `left_out`: see Page."""

    title: str = ""
    content: str = ""
    code_blocks: list[Code] = field(default_factory=list)
    images: list[Shown] = field(default_factory=list)
    assets: list[Asset] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    left_links: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    canonical: str | None = None
    is_indexed: bool = True
    is_followed: bool = True
    has_scripts: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to keep."""
        return not (self.content.strip() or self.images or self.assets)


def parse(text: str, url: str, *, robots_header: str = "") -> Parsed:
    """Return what an HTML page says.

    Args:
        text: of the page, however broken.
        url: where it was found, which its links start from.
        robots_header: `X-Robots-Tag` of the answer.

    Raises:
        WebFault: it is nested deeper than pages are, or has too many parts, or more than there is memory for.
    """
    try:
        from selectolax.lexbor import LexborHTMLParser, SelectolaxError
    except ImportError as error:
        raise ExtraMissing(needed_for="web_scraper", package="selectolax", extra="web") from error
    text = storable(text)
    check_nesting(text)
    try:
        parser = LexborHTMLParser(text)
    except (SelectolaxError, MemoryError) as error:
        raise WebFault("page_too_large", "There is not enough memory for all its parts.") from error
    made = Parsed()
    root = parser.root
    if root is None:
        return made
    base = _head(root, url, made)
    _obey(made, robots_header)
    body = parser.body or root
    _links(root, base, made)
    _content(body, base, made)
    made.title = made.title[:_TITLE_CHARS]
    return made


def _attribute(node: LexborNode, name: str) -> str:
    return node.attributes.get(name) or ""


def _head(root: LexborNode, url: str, made: Parsed) -> str:
    """Read what stands above the text; return the address that links start from."""
    base, open_graph = url, ""
    for node in root.css("base[href]")[:1]:
        base = joined(url, _attribute(node, "href")) or url
    for node in root.css("title")[:3]:
        made.title = made.title or _squeezed(node.text(deep=True))
    for node in root.css("meta[name], meta[property]")[:500]:
        name = (_attribute(node, "name") or _attribute(node, "property")).lower()
        if name in {"robots", "prismhouse"}:
            _obey(made, _attribute(node, "content"))
        elif name == "og:title":
            open_graph = _squeezed(_attribute(node, "content"))
    for node in root.css("link[rel][href]")[:500]:
        if "canonical" in _attribute(node, "rel").lower().split():
            made.canonical = made.canonical or joined(base, _attribute(node, "href"))
    made.has_scripts = bool(root.css_first("script"))
    if not made.title:
        heading = root.css_first("h1")
        made.title = open_graph or (_squeezed(heading.text(deep=True)) if heading else "")
    return base


def _obey(made: Parsed, words: str) -> None:
    """Heed `noindex`, `nofollow` and `none`; words for another program are not for us."""
    for part in words.lower().split(","):
        agent, _, word = part.rpartition(":")
        if agent.strip() not in {"", "prismhouse"}:
            continue
        made.is_indexed = made.is_indexed and word.strip() not in {"noindex", "none"}
        made.is_followed = made.is_followed and word.strip() not in {"nofollow", "none"}


def _links(root: LexborNode, base: str, made: Parsed) -> None:
    """Note the links of the whole page in their order, menus too."""
    seen = set()
    for node in root.css("a[href], area[href], frame[src], iframe[src], meta[http-equiv]"):
        address = _address_in(node)
        if not address or "nofollow" in _attribute(node, "rel").lower().split():
            continue
        link = joined(base, address)
        if link is None or link in seen:
            continue
        seen.add(link)
        if is_asset(link):
            continue  # noted with its place in the text, by _content
        if len(made.links) >= _MOST_LINKS:
            made.left_links += 1
        else:
            made.links.append(Link(url=link, text=_squeezed(node.text(deep=True))[:_LABEL_CHARS]))


def _address_in(node: LexborNode) -> str:
    if node.tag == "meta":
        if _attribute(node, "http-equiv").lower() != "refresh":
            return ""
        match = _REFRESH.match(_attribute(node, "content")[:4000])
        return match[1] if match else ""
    return _attribute(node, "href" if node.tag in {"a", "area"} else "src")


def _content(body: LexborNode, base: str, made: Parsed) -> None:
    """Write the text of the part that is the page's own; all of it where that would leave next to nothing."""
    whole = _written(body, base, around=True)
    chosen = None
    for node in [*body.css("main, [role=main]")[:1], *_only(body.css("article")[:2])]:
        candidate = _written(node, base, around=False)
        if len(candidate.text) >= min(_LEAST_CHARS, _LEAST_SHARE * len(whole.text)) and candidate.text:
            chosen = candidate
            break
    if chosen is None:
        stripped = _written(body, base, around=False)
        chosen = stripped if len(stripped.text) >= min(_LEAST_CHARS, _LEAST_SHARE * len(whole.text)) else whole
    made.content = chosen.text
    made.code_blocks, made.images = chosen.code, chosen.images
    made.assets = chosen.assets
    kept = {asset.url for asset in made.assets}
    made.assets += [Asset(offset=0, url=asset.url, text=asset.text) for asset in whole.assets if asset.url not in kept]
    left_out = {
        "code_blocks": chosen.left_code,
        "images": chosen.left_images,
        "asset_links": len(whole.assets) + whole.left_assets - len(made.assets),
    }
    made.left_out = {name: count for name, count in left_out.items() if count > 0}


def _only(nodes: list[LexborNode]) -> list[LexborNode]:
    return nodes if len(nodes) == 1 else []


def _written(start: LexborNode, base: str, *, around: bool) -> Writing:
    """Go through the nodes below `start` without recursion; `around` takes along what stands around a page's text."""
    out = Writing()
    node: LexborNode | None = start
    count, inside = 0, 0
    while node is not None:
        count += 1
        if count > _MOST_NODES:
            raise WebFault("page_too_large", f"It has more than {_MOST_NODES} parts.")
        below = None
        tag = node.tag or ""
        if tag == "-text":
            out.write(node.text_content or "")
        elif node is start or not _is_left_out(node, tag, around=around, inside=inside):
            inside += tag in {"main", "article"}
            below = _entered(node, tag, base, out)
        if below is not None:
            node = below
            continue
        while node is not None:
            if node.is_element_node:
                inside -= _leave(node, start, out, around=around, inside=inside)
            if node.mem_id == start.mem_id:
                return out.finished()
            if node.next is not None:
                node = node.next
                break
            node = node.parent
    return out.finished()


def _leave(node: LexborNode, start: LexborNode, out: Writing, *, around: bool, inside: int) -> int:
    """End a node; return 1 for the end of an article."""
    tag = node.tag or ""
    if node.mem_id != start.mem_id and _is_left_out(node, tag, around=around, inside=inside):
        return 0
    if tag in {"td", "th"}:
        out.cell()
    elif tag in _APART:
        out.gap(2)
    elif tag in _BLOCKS:
        out.gap(1)
    return int(tag in {"main", "article"})


def _entered(node: LexborNode, tag: str, base: str, out: Writing) -> LexborNode | None:
    """Begin a node; return the first one below it that is to be gone through."""
    if tag == "pre":
        out.block(node.text(deep=True), _language(node))
        return None
    if tag == "br":
        out.gap(1)
    elif tag == "img":
        _picture(node, base, out)
    elif tag == "a":
        address = _attribute(node, "href")
        if _is_asset(address) and out.takes_asset(address) and (link := joined(base, address)) and is_asset(link):
            out.asset(link, _squeezed(node.text(deep=True))[:_LABEL_CHARS])
    if tag in _APART:
        out.gap(2)
    elif tag in _BLOCKS:
        out.gap(1)
    if tag == "li":
        out.write("- ")
    return node.first_child


def _is_left_out(node: LexborNode, tag: str, *, around: bool, inside: int) -> bool:
    if tag in _SILENT or tag.startswith("-"):
        return True
    held: dict[str, Any] = node.attributes
    if "hidden" in held or _HIDDEN.search(held.get("style") or ""):
        return True
    if around:
        return False
    if tag in {"nav", "aside"} or (tag in _AROUND and not inside):
        return True
    if (held.get("role") or "").lower() in _ROLES or (held.get("aria-hidden") or "").lower() == "true":
        return True
    names = f"{held.get('class') or ''} {held.get('id') or ''}"
    return tag not in {"html", "body", "main", "article"} and bool(_AROUND_NAMES.search(names[:1000]))


def _picture(node: LexborNode, base: str, out: Writing) -> None:
    if any(_is_small(_attribute(node, side)) for side in ("width", "height")):
        return
    address = _attribute(node, "src") or _attribute(node, "data-src")
    if not address or address[:5].lower() == "data:" or not out.takes_image(address):
        return
    link = joined(base, address)
    if link is not None and all(image.url != link for image in out.images):
        out.image(link, _squeezed(_attribute(node, "alt"))[:_LABEL_CHARS])


def _is_asset(address: str) -> bool:
    """Whether a link as it stands may lead to a file: for most that do not, this is all that is asked."""
    try:
        return "." in address and is_asset(address.strip())
    except ValueError:
        return False


def _is_small(side: str) -> bool:
    return side.isascii() and side.isdigit() and int(side[:9]) < _SMALL_SIDE


def _language(node: LexborNode) -> str | None:
    """Return what the classes of a block of code, of what is in it or of what is around it call its language."""
    near: list[LexborNode | None] = [node, node.css_first("code"), node.parent]
    near.append(node.parent.parent if node.parent is not None else None)
    for one in near:
        match = _LANGUAGE.search(_attribute(one, "class")) if one is not None else None
        if match and match[1].lower() not in _NO_LANGUAGE:
            return match[1].lower()
    return None


def _squeezed(text: str) -> str:
    return " ".join(text.split())
