using System.Text;
using Moshpit.Server.Buffers;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Buffers;

public sealed class HexIdTests
{
    [Test]
    public void An_id_comes_back_from_its_digits()
    {
        var id = new HexId(new UInt128(0x0123456789abcdef, 0xfedcba9876543210));
        byte[] text = new byte[HexId.Length];
        id.Format(text);
        Assert.That(Encoding.ASCII.GetString(text), Is.EqualTo("0123456789abcdeffedcba9876543210"));
        Assert.That(HexId.TryParse(text, out HexId parsed), Is.True);
        Assert.That(parsed, Is.EqualTo(id));
    }

    [Test]
    public void Two_are_the_same_only_if_every_bit_is()
    {
        UInt128 id = UInt128.MaxValue / 3;
        var same = new HexId(id);
        Assert.That(new HexId(id), Is.EqualTo(same));
        Assert.That(new HexId(id).GetHashCode(), Is.EqualTo(same.GetHashCode()));
        for (int bit = 0; bit < 128; bit++)
            Assert.That(new HexId(id ^ (UInt128.One << bit)), Is.Not.EqualTo(same), $"bit {bit}");
    }

    [Test]
    public void New_ones_are_never_given_twice_whatever_threads_ask_at_once()
    {
        const int Threads = 4;
        var given = new HexId[Threads][];
        using var start = new Barrier(Threads);
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(number => new Thread(() =>
        {
            int count = number + 1;
            var ids = new HexId[count * 50_000];
            start.SignalAndWait();
            for (int n = 0; n < ids.Length; n += count)
                HexId.Fill(ids.AsSpan(n, count));
            given[number] = ids;
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        HexId[] all = [.. given.SelectMany(ids => ids)];
        Assert.That(all.ToHashSet(), Has.Count.EqualTo(all.Length));
        Assert.That(all, Has.None.EqualTo(default(HexId)));
    }

    [Test]
    public void As_text_an_id_is_its_first_8_digits_and_a_token_is_nothing_of_it()
    {
        const string Digits = "0123456789abcdeffedcba9876543210";
        Assert.That($"{Ids.Channel(Digits)} {Ids.Peer(Digits)} {Ids.Token(Digits)}", Is.EqualTo("01234567 01234567 (token)"));
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
