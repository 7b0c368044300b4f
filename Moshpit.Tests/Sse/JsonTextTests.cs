using System.Text;
using Moshpit.Server;
using Moshpit.Server.Sse;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Sse;

internal sealed class JsonTextTests
{
    [Test]
    public void No_character_gets_longer_than_the_limits_allow_for()
    {
        var output = new FixedWriter(16);
        Span<byte> text = stackalloc byte[4];
        int most = 0;
        for (int code = 0; code <= char.MaxValue; code++)
        {
            if (!Rune.TryCreate(code, out Rune rune))
                continue;
            output.Clear();
            int length = rune.EncodeToUtf8(text);
            JsonText.WriteString(text[..length], output);
            int written = output.Written - 2;
            Assert.That(written, Is.LessThanOrEqualTo(JsonText.MostGrowth * length), $"U+{code:X4}");
            most = Math.Max(most, written / length);
        }

        Assert.That(most, Is.EqualTo(JsonText.MostGrowth));
    }

    [Test]
    public void Two_of_the_longest_messages_and_what_is_pending_fit_into_one_array()
    {
        // Besides what grows with the text: the framing, and the holes in the arrays of a form.
        const long More = 512 * 1024;
        long message = (long)JsonText.MostGrowth * MoshpitServerOptions.MostBodyLimit + More;
        Assert.That(2 * message + MoshpitServerOptions.MostPendingLimit, Is.LessThan(Array.MaxLength));
    }
}
