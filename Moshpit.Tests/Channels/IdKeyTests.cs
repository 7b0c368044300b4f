using Moshpit.Server.Channels;

namespace Moshpit.Tests.Channels;

internal sealed class IdKeyTests
{
    private const int Bits = 128;

    [Test]
    public void Two_are_the_same_only_if_every_bit_is()
    {
        UInt128 id = UInt128.MaxValue / 3;
        var same = new IdKey(id);
        Assert.That(new IdKey(id), Is.EqualTo(same));
        Assert.That(new IdKey(id).GetHashCode(), Is.EqualTo(same.GetHashCode()));
        for (int bit = 0; bit < Bits; bit++)
            Assert.That(new IdKey(id ^ (UInt128.One << bit)), Is.Not.EqualTo(same), $"bit {bit}");
    }
}
