# SPDX-License-Identifier: BSD-3-Clause
"""Programs that speak PC/SC themselves."""

import pathlib

from apps import BUILD, Application

SELECT = "00 A4 04 00 06 D2 76 00 01 24 01 00"


class PcscScan(Application):
    program = "pcsc_scan"
    packages = ("pcsc-tools",)
    needs = ("pcsc_scan",)

    def test_scan(self):
        """`pcsc_scan -c`: the reader, the card, its ATR"""
        self.reader()
        text = self.run_("timeout", "--preserve-status", "-s", "INT", "2", "pcsc_scan", "-c", "-n")
        self.assertIn("Card inserted", text)
        self.assertIn("ATR: 3B", text)


class Scriptor(Application):
    program = "scriptor"
    packages = ("pcsc-tools", "libpcsc-perl")
    needs = ("scriptor",)

    def test_script(self):
        """a script that selects the OpenPGP application and reads its AID"""
        self.reader()
        text = self.run_("scriptor", input=f"reset\n{SELECT}\n00 CA 00 4F 00\n")
        self.assertIn("< D2 76 00 01 24 01 03 04 FF 00", text)


class Gscriptor(Application):
    program = "gscriptor"
    packages = ("pcsc-tools", "libpcsc-perl", "libgtk3-perl", "xvfb", "xauth")
    needs = ("gscriptor", "xvfb-run", "xauth", "/usr/share/perl5/Gtk3.pm")

    def test_script(self):
        """on a display that nobody sees: a script that selects the OpenPGP application, run"""
        self.reader()
        script = self.write("script", f"reset\n{SELECT}\n00 CA 00 4F 00\n")
        self.write("home/.gscriptor", f"script = '{script}'\nprotocol = '3'\n")
        text = self.run_("xvfb-run", "-a", "perl", f"-I{pathlib.Path(__file__).parent}",
            "-MGscriptor", "/usr/bin/gscriptor")
        self.assertRegex(text, r"Received:\s+D2 76 00 01 24 01 03 04 FF 00")


class Pyscard(Application):
    program = "pyscard"
    packages = ("python3-pyscard",)
    needs = ("/usr/lib/python3/dist-packages/smartcard",)

    def test_select(self):
        """selects the OpenPGP application, reads its AID; a card monitor sees the card go"""
        self.reader()
        text = self.run_("/usr/bin/python3", "-c", PYSCARD)
        self.assertIn("d27600012401", text)
        self.assertIn("removed", text)


PYSCARD = """
import os, subprocess, threading
from smartcard.CardMonitoring import CardMonitor, CardObserver
from smartcard.System import readers
connection = readers()[0].createConnection()
connection.connect()
connection.transmit([0x00, 0xA4, 0x04, 0x00, 0x06, 0xD2, 0x76, 0x00, 0x01, 0x24, 0x01])
print(bytes(connection.transmit([0x00, 0xCA, 0x00, 0x4F, 0x00])[0]).hex())
connection.disconnect()
seen, gone = threading.Event(), threading.Event()

class Observer(CardObserver):
    def update(self, observable, actions):
        added, removed = actions
        if added:
            seen.set()
        if removed:
            gone.set()

monitor = CardMonitor()
observer = Observer()
monitor.addObserver(observer)
assert seen.wait(10)
subprocess.run([os.environ["VREADER"], "ctl", "remove", "0"], check=True)
assert gone.wait(10)
print("removed")
monitor.deleteObserver(observer)
"""


class Smartcardio(Application):
    program = "javax.smartcardio"
    packages = ("default-jdk-headless",)
    needs = ("javac", "java")
    version = ("java", "-version")

    def test_select(self):
        """connects, selects the OpenPGP application, reads its AID"""
        self.reader()
        self.write("Card.java", JAVA)
        text = self.run_("java", f"-Dsun.security.smartcardio.library={BUILD}/lib/libpcsclite.so.1",
            "Card.java")
        self.assertIn("d27600012401", text)


JAVA = """
import java.util.HexFormat;
import javax.smartcardio.*;

class Card {
    public static void main(String[] arguments) throws Exception {
        CardTerminal terminal = TerminalFactory.getDefault().terminals().list().get(0);
        javax.smartcardio.Card card = terminal.connect("*");
        CardChannel channel = card.getBasicChannel();
        byte[] aid = HexFormat.of().parseHex("d27600012401");
        if (channel.transmit(new CommandAPDU(0x00, 0xA4, 0x04, 0x00, aid)).getSW() != 0x9000)
            throw new Exception("not selected");
        ResponseAPDU answer = channel.transmit(new CommandAPDU(0x00, 0xCA, 0x00, 0x4F, 256));
        System.out.println(HexFormat.of().formatHex(answer.getData()));
        card.disconnect(false);
    }
}
"""


class OpenCt(Application):
    program = "OpenCT"

    def test_driver(self):
        """its IFD handler in our daemon"""
        if not self.run_("apt-cache", "search", "--names-only", "^openct$"):
            self.skipTest("the distribution has no package openct any more")
        self.fail("the package can be had again: load its driver here")
