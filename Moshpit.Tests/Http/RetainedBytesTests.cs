using System.Text;
using Moshpit.Server.Http;

namespace Moshpit.Tests.Http;

internal sealed class RetainedBytesTests
{
    [Test]
    public void Several_values_are_joined()
    {
        RetainedBytes bytes = default;
        foreach (string value in new[] { "a", "", new string('b', 100), "c" })
            bytes.AppendListed(Encoding.ASCII.GetBytes(value));
        Assert.That(Encoding.ASCII.GetString(bytes.Span), Is.EqualTo($"a, , {new string('b', 100)}, c"));
        bytes.Clear();
        Assert.That((bytes.IsEmpty, bytes.Span.Length), Is.EqualTo((true, 0)));
    }

    [Test]
    public void A_value_of_many_lines_is_moved_a_few_times_only()
    {
        const int Lines = 1000;
        byte[] value = Encoding.ASCII.GetBytes("192.168.100.200");
        int length = Lines * (value.Length + 2) - 2;

        // Each move allocates. Storage that doubles allocates less than four times what it holds in the end; storage of the exact length
        // allocates hundreds of times as much.
        long before = GC.GetAllocatedBytesForCurrentThread();
        RetainedBytes bytes = default;
        for (int line = 0; line < Lines; line++)
            bytes.AppendListed(value);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.That(bytes.Span.Length, Is.EqualTo(length));
        Assert.That(allocated, Is.InRange(length, 5 * length));
    }
}
