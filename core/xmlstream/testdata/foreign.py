"""Reads documents with a parser that is not ours and compares what they mean.

usage: foreign.py expat|libxml2 cases.json

A case has a document and its tree as [name, {attribute: value}, [text or tree, ...]], where a name is the
namespace, a space, and the local part. The process fails with the first difference.
"""
import ctypes
import ctypes.util
import json
import sys


def add_text(content, text):
    if content and isinstance(content[-1], str):
        content[-1] += text
    elif text:
        content.append(text)


def expat(document):
    from xml.parsers import expat as lib
    parser = lib.ParserCreate(namespace_separator=" ")
    root = []
    stack = [root]

    def qualified(name):
        return name if " " in name else " " + name

    def start(name, attributes):
        node = [qualified(name), {qualified(k): v for k, v in attributes.items()}, []]
        stack[-1].append(node)
        stack.append(node[2])

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: stack.pop()
    parser.CharacterDataHandler = lambda text: add_text(stack[-1], text)
    parser.Parse(document, True)
    return root[0]


class LibXML2:
    ELEMENT, TEXT, CDATA, WHITE, SIGNIFICANT, END = 1, 3, 4, 13, 14, 15

    def __init__(self, name):
        self.lib = ctypes.CDLL(name)
        self.lib.xmlReaderForMemory.restype = ctypes.c_void_p
        self.lib.xmlReaderForMemory.argtypes = [
            ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]
        for f in ("ConstLocalName", "ConstNamespaceUri", "ConstValue"):
            getattr(self.lib, "xmlTextReader" + f).restype = ctypes.c_char_p
        for f in ("ConstLocalName", "ConstNamespaceUri", "ConstValue", "Read", "NodeType", "IsEmptyElement",
                  "MoveToNextAttribute", "MoveToElement", "IsNamespaceDecl"):
            getattr(self.lib, "xmlTextReader" + f).argtypes = [ctypes.c_void_p]
        self.lib.xmlFreeTextReader.argtypes = [ctypes.c_void_p]
        self.silent = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)(lambda *_: None)
        self.lib.xmlSetGenericErrorFunc(None, self.silent)

    def call(self, name, reader):
        return getattr(self.lib, "xmlTextReader" + name)(reader)

    def text(self, name, reader):
        return (self.call(name, reader) or b"").decode()

    def name(self, reader):
        return self.text("ConstNamespaceUri", reader) + " " + self.text("ConstLocalName", reader)

    def attributes(self, reader):
        found = {}
        while self.call("MoveToNextAttribute", reader) == 1:
            if self.call("IsNamespaceDecl", reader) != 1:
                found[self.name(reader)] = self.text("ConstValue", reader)
        self.call("MoveToElement", reader)
        return found

    def __call__(self, document):
        data = document.encode()
        huge = 1 << 19
        reader = self.lib.xmlReaderForMemory(data, len(data), None, b"UTF-8", huge)
        root = []
        stack = [root]
        while True:
            more = self.call("Read", reader)
            if more != 1:
                break
            kind = self.call("NodeType", reader)
            if kind == self.ELEMENT:
                empty = self.call("IsEmptyElement", reader)
                node = [self.name(reader), self.attributes(reader), []]
                stack[-1].append(node)
                if not empty:
                    stack.append(node[2])
            elif kind == self.END:
                stack.pop()
            elif kind in (self.TEXT, self.CDATA, self.WHITE, self.SIGNIFICANT):
                add_text(stack[-1], self.text("ConstValue", reader))
        self.lib.xmlFreeTextReader(reader)
        if more != 0:
            raise ValueError("not well-formed")
        return root[0]


def main():
    if sys.argv[1] == "expat":
        parse = expat
    else:
        found = ctypes.util.find_library("xml2")
        if not found:
            print(json.dumps({"missing": "there is no libxml2"}))
            return
        parse = LibXML2(found)
    with open(sys.argv[2], encoding="utf-8") as f:
        cases = json.load(f)
    for case in cases:
        try:
            got = parse(case["xml"])
        except Exception as problem:
            sys.exit("%s: %r" % (problem, case["xml"][:1500]))
        if got != case["want"]:
            sys.exit("%r\nmeans    %r\nand not  %r" % (case["xml"][:700], repr(got)[:700], repr(case["want"])[:700]))
    print(json.dumps({"compared": len(cases)}))


main()
