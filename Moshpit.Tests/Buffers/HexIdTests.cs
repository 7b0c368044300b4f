using System.Text;
using Moshpit.Server.Buffers;

namespace Moshpit.Tests.Buffers;

public sealed class HexIdTests
{
    [Test]
    public void An_id_comes_back_from_its_digits()
    {
        var id = new UInt128(0x0123456789abcdef, 0xfedcba9876543210);
        byte[] text = new byte[HexId.Length];
        HexId.Format(id, text);
        Assert.That(Encoding.ASCII.GetString(text), Is.EqualTo("0123456789abcdeffedcba9876543210"));
        Assert.That(HexId.TryParse(text, out UInt128 parsed), Is.True);
        Assert.That(parsed, Is.EqualTo(id));
    }

    [TestCase("")]
    [TestCase("0123456789abcdeffedcba987654321")]
    [TestCase("0123456789abcdeffedcba98765432100")]
    [TestCase("0123456789abcdeffedcba987654321g")]
    [TestCase("0123456789ABCDEFfedcba9876543210")]
    [TestCase("0123456789abcdef-edcba9876543210")]
    [TestCase("0123456789abcdef fedcba987654321")]
    [TestCase("0x23456789abcdeffedcba9876543210")]
    public void Only_32_lower_case_digits_are_an_id(string text) =>
        Assert.That(HexId.TryParse(Encoding.ASCII.GetBytes(text), out _), Is.False);

    [Test]
    public void Every_other_byte_is_refused_in_every_place()
    {
        for (int value = 0; value < 256; value++)
        {
            bool isDigit = "0123456789abcdef".Contains((char)value);
            for (int place = 0; place < HexId.Length; place++)
            {
                byte[] text = Encoding.ASCII.GetBytes(new string('7', HexId.Length));
                text[place] = (byte)value;
                Assert.That(HexId.TryParse(text, out _), Is.EqualTo(isDigit), $"{value:x2} at {place}");
            }
        }
    }
}
