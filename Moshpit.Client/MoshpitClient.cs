#nullable enable
namespace Moshpit.Client
{
    /// <summary>x</summary>
    public sealed class MoshpitClient { }
}
