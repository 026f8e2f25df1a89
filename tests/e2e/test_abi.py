# SPDX-License-Identifier: BSD-3-Clause
"""What a program that was built against pcsc-lite finds: symbols, libraries, installed files."""

import os
import pathlib
import re
import subprocess
import unittest

import harness
from harness import BUILD, Client, NULL_LIBRARY, Pcscd, reader_entry


def exports(library):
    """{name: kind} of the dynamic symbols that a library defines."""
    printed = subprocess.run(["nm", "-D", "--defined-only", library], check=True, text=True,
                             capture_output=True).stdout
    found = dict(reversed(line.split()[1:3]) for line in printed.splitlines())
    # R, D and B are all data; which section holds it is no part of the interface.
    return {name: "T" if kind == "T" else "data" for name, kind in found.items()}


class Symbols(harness.CardwireTest):
    @harness.needs_debian(harness.DEBIAN_LIBRARY)
    @unittest.skipIf(harness.PRELOAD, "a sanitised library exports the sanitizer's symbols too")
    def test_same_as_debian(self):
        self.assertEqual(exports(harness.LIBRARIES["ours"]), exports(harness.DEBIAN_LIBRARY))

    def test_links_libc_only(self):
        for name in ("libpcsclite.so.1", "libpcsclite_real.so.1"):
            printed = subprocess.run(["readelf", "-d", BUILD / "lib" / name], check=True, text=True,
                                     capture_output=True).stdout
            needed = set(re.findall(r"NEEDED.*\[(.*)\]", printed))
            self.assertLessEqual({n for n in needed if not re.match(r"lib(a|t|ub)san\.so", n)},
                                 {"libc.so.6", "ld-linux-x86-64.so.2"})
            self.assertIn(f"soname: [{name}]", printed)


class Delegate(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        self.daemon = Pcscd(self, reader_entry("Good", "null:", NULL_LIBRARY))

    def mapped(self, client, path):
        real = str(pathlib.Path(path).resolve())
        return real in pathlib.Path(f"/proc/{client.pid}/maps").read_text()

    def test_default(self):
        client = Client(self, self.daemon)
        self.assertEqual(client.list_readers(client.establish()), ["Good 00 00"])
        self.assertTrue(self.mapped(client, BUILD / "lib/libpcsclite_real.so.1"))

    @harness.needs_debian(harness.DEBIAN_LIBRARY)
    def test_another_library(self):
        client = Client(self, self.daemon, env={"LIBPCSCLITE_DELEGATE": str(harness.DEBIAN_LIBRARY)})
        self.assertEqual(client.list_readers(client.establish()), ["Good 00 00"])
        self.assertTrue(self.mapped(client, harness.DEBIAN_LIBRARY))
        self.assertFalse(self.mapped(client, BUILD / "lib/libpcsclite_real.so.1"))

    def test_itself(self):
        for delegate in (BUILD / "lib/libpcsclite.so.1", "/nonexistent/library.so"):
            client = Client(self, self.daemon, env={"LIBPCSCLITE_DELEGATE": str(delegate)})
            self.assertEqual(client.rv("establish"), "SCARD_F_INTERNAL_ERROR")


class Install(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        self.root = self.tmp / "root"
        subprocess.run(["cmake", "--install", BUILD], check=True, capture_output=True,
                       env={**os.environ, "DESTDIR": str(self.root)})
        cache = (BUILD / "CMakeCache.txt").read_text()
        self.prefix = re.search(r"^CMAKE_INSTALL_PREFIX:PATH=/(.*)$", cache, re.MULTILINE)[1]

    def test_layout(self):
        found = {str(path.relative_to(self.root)) for path in self.root.rglob("*")
                 if not path.is_dir()}
        library = rf"{self.prefix}/lib/([^/]*-linux-[^/]*/)?"
        bundle = rf"{self.prefix}/lib/pcsc/drivers/ifd-ccid\.bundle/Contents"
        wanted = [
            rf"{self.prefix}/sbin/pcscd", rf"{self.prefix}/bin/vreader",
            rf"{library}libpcsclite\.so", rf"{library}libpcsclite\.so\.1",
            rf"{library}libpcsclite\.a", rf"{library}libpcsclite_real\.so\.1",
            rf"{library}pkgconfig/libpcsclite\.pc",
            rf"{bundle}/Info\.plist", rf"{bundle}/Linux/libccid\.so",
            *(rf"{self.prefix}/include/PCSC/{name}\.h" for name in (
                "winscard", "wintypes", "pcsclite", "reader", "ifdhandler", "debuglog")),
        ]
        for pattern in wanted:
            self.assertTrue(any(re.fullmatch(pattern, name) for name in found),
                            f"{pattern} is not among {sorted(found)}")

    @unittest.skipIf(harness.PRELOAD, "links a plain program, without the sanitizer")
    def test_a_program_builds_against_it(self):
        """With pkg-config's flags, as another package is built; dynamically and statically."""
        pc = next(self.root.rglob("libpcsclite.pc"))
        env = {**os.environ, "PKG_CONFIG_LIBDIR": str(pc.parent),
               "PKG_CONFIG_SYSROOT_DIR": str(self.root)}

        def pkg_config(*options):
            return subprocess.run(["pkg-config", *options, "libpcsclite"], check=True, env=env,
                                  capture_output=True, text=True).stdout.split()
        self.assertIn("-lpcsclite", pkg_config("--libs"))
        self.assertTrue(pkg_config("--variable=usbdropdir")[0].endswith("/lib/pcsc/drivers"))
        source, program = self.tmp / "program.c", self.tmp / "program"
        source.write_text("#include <winscard.h>\n#include <reader.h>\nint main(void)\n{\n"
                          "\tSCARDCONTEXT c;\n\treturn SCardEstablishContext(SCARD_SCOPE_SYSTEM, 0,"
                          " 0, &c) == SCARD_E_NO_SERVICE ? 0 : 1;\n}\n")
        for libraries in (pkg_config("--libs"), [pc.parent.parent / "libpcsclite.a", "-pthread"]):
            subprocess.run(["cc", "-Wall", "-Werror", source, "-o", program,
                            *pkg_config("--cflags"), *libraries], check=True)
            subprocess.run([program], check=True, timeout=20, env={
                "PCSCLITE_CSOCK_NAME": "/nonexistent", "LD_LIBRARY_PATH": str(pc.parent.parent)})


if __name__ == "__main__":
    unittest.main()
